"""What both kernels do: find their strip of a frame, and slide a window down it."""

# ruff: noqa: RUF005 (Triton does not unpack into tuples)
# mypy: disable-error-code="assignment"

import triton
import triton.language as tl


@triton.jit
def place(
    DOWN: tl.constexpr,
    ACROSS: tl.constexpr,
    CHANNELS: tl.constexpr,
    LANES: tl.constexpr,
    WIDE: tl.constexpr,
    TALL: tl.constexpr,
):
    """What this program owns of DOWN x ACROSS results of CHANNELS.

    A lane owns WIDE columns of one channel. The last ones of a row overlap those before them, so
    that no lane leaves the row.

    Returns:
        The frame; the program's first row; how many rows; each lane's channel and first column; and
        the first column that no lane before it owns.
    """
    STRIPS: tl.constexpr = ((ACROSS + WIDE - 1) // WIDE * CHANNELS + LANES - 1) // LANES
    PROGRAMS: tl.constexpr = (DOWN + TALL - 1) // TALL * STRIPS
    frame = (tl.program_id(0) // PROGRAMS).to(tl.int64)
    piece = tl.program_id(0) % PROGRAMS
    first = piece // STRIPS * TALL
    lane = piece % STRIPS * LANES + tl.arange(0, LANES)
    begin = lane // CHANNELS * WIDE
    column = tl.minimum(begin, ACROSS - WIDE)
    return frame, first, tl.minimum(TALL, DOWN - first), lane % CHANNELS, column, begin


@triton.jit
def origin(
    x,
    y,
    channel,
    HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr,
    CHANNELS: tl.constexpr,
    LATTICE: tl.constexpr,
):
    """For each lane, the mean of y over LATTICE x LATTICE pixels of its frame and channel.

    It is rounded to the frames' dtypes, so that a pixel of either can equal it.
    """
    total = tl.zeros(channel.shape, tl.float32)
    for i in tl.static_range(LATTICE):
        for j in tl.static_range(LATTICE):
            row = (2 * i + 1) * HEIGHT // (2 * LATTICE)
            column = (2 * j + 1) * WIDTH // (2 * LATTICE)
            total += tl.load(y + channel + (row * WIDTH + column) * CHANNELS).to(tl.float32)
    mean = total * (1 / (LATTICE * LATTICE))
    return mean.to(x.dtype.element_ty).to(y.dtype.element_ty).to(tl.float32)


@triton.jit
def add_tap(
    sums, values, tap: tl.constexpr, WEIGHTS: tl.constexpr, SIZE: tl.constexpr, WIDE: tl.constexpr
):
    """Adds pixel `tap` of a lane's row to those of its WIDE windows across that it lies in.

    `sums` are of map 0 in all windows, of map 1 in all windows, and so on.
    """
    added = ()
    for k in tl.static_range(len(sums)):
        if tap - k % WIDE >= 0 and tap - k % WIDE < SIZE:
            added = added + (tl.fma(values[k // WIDE], WEIGHTS[tap - k % WIDE], sums[k]),)
        else:
            added = added + (sums[k],)
    return added


@triton.jit
def add_row(begun, values, WEIGHTS: tl.constexpr, SIZE: tl.constexpr):
    """Adds a row to the SIZE windows down that it lies in, of which it completes one.

    Args:
        begun: SIZE - 1 sums for each of `values`, the oldest window first.
        values: of the row.
        WEIGHTS: of the window.
        SIZE: how many they are.

    Returns:
        The completed sums, one for each of `values`; and `begun` for the next row.
    """
    done, left = (), ()
    for k in tl.static_range(len(values)):
        if SIZE == 1:
            done = done + (WEIGHTS[0] * values[k],)
        else:
            oldest = tl.fma(values[k], WEIGHTS[SIZE - 1], begun[k * (SIZE - 1)])
            done = done + (oldest,)
            for i in tl.static_range(1, SIZE - 1):
                other = tl.fma(values[k], WEIGHTS[SIZE - 1 - i], begun[k * (SIZE - 1) + i])
                left = left + (other,)
            left = left + (WEIGHTS[0] * values[k],)
    return done, left
