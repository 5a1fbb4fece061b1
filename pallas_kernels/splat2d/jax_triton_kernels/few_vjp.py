"""The backward kernel for few channels."""

# ruff: noqa: RUF005 (Triton does not unpack into tuples)
# mypy: disable-error-code="assignment"

import triton
import triton.language as tl

from pallas_kernels.splat2d.jax_triton_kernels.tile import first_and_last, load, terms


@triton.jit
def few_vjp(
    gaussians,
    amplitude,
    cotangent,
    moments,
    d_amplitude,
    HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr,
    CHANNELS: tl.constexpr,
    COUNT: tl.constexpr,
    WINDOW: tl.constexpr,
    OWNED: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    ACROSS: tl.constexpr,
):
    """Reduces the cotangent over the pixels of OWNED Gaussians, one after the other."""
    GROUPS: tl.constexpr = COUNT // OWNED
    frame = (tl.program_id(0) // GROUPS).to(tl.int64)
    first = tl.program_id(0) % GROUPS * OWNED
    gaussians += frame * (7 * COUNT)
    moments += frame * (6 * COUNT)
    amplitude += frame * (COUNT * CHANNELS)
    d_amplitude += frame * (COUNT * CHANNELS)
    cotangent += frame * (HEIGHT * WIDTH * CHANNELS)

    THREADS: tl.constexpr = COLUMNS // ACROSS
    thread = tl.arange(0, THREADS)[None, :]
    zero = tl.zeros((ROWS, THREADS), tl.float32)
    for index in range(first, first + OWNED):
        one = gaussians + index
        mean_x, mean_y, a, b, c = load(one, COUNT)
        reach_x, reach_y = tl.load(one + 5 * COUNT), tl.load(one + 6 * COUNT)
        left, right = first_and_last(mean_x, reach_x, WIDTH)
        top, bottom = first_and_last(mean_y, reach_y, HEIGHT)
        values = ()
        for k in tl.static_range(CHANNELS):
            values = values + (tl.load(amplitude + index * CHANNELS + k),)

        hu, hux, huy, hy, hxy, hyy = zero, zero, zero, zero, zero, zero
        channels = (zero,) * CHANNELS
        for start_y in range(top, bottom + 1, ROWS):
            row = start_y + tl.arange(0, ROWS)[:, None]
            y = row - mean_y
            for start_x in range(left, right + 1, COLUMNS):
                pixels = cotangent + (row * WIDTH + start_x + thread) * CHANNELS
                h_row, hu_row, hx_row = zero, zero, zero
                for step in tl.static_range(0, COLUMNS, THREADS):
                    column = start_x + thread + step
                    x = column - mean_x
                    along, across, low = terms(x, y, a, b, c, WINDOW)
                    u = along + across
                    weight = tl.exp2(low - u * u)
                    inside = (row <= bottom) & (column <= right)
                    h, added = zero, ()
                    for k in tl.static_range(CHANNELS):
                        pull = tl.load(pixels + (step * CHANNELS + k), mask=inside, other=0.0)
                        pull = pull.to(tl.float32)
                        h += values[k] * pull
                        added = added + (channels[k] + weight * pull,)
                    channels = added
                    h *= weight
                    h_row += h
                    hu_row += h * u
                    hx_row += h * x
                    hux += h * u * x
                # What depends on y multiplies sums over the pixels of a row.
                hu += hu_row
                huy += hu_row * y
                hy += h_row * y
                hxy += hx_row * y
                hyy += h_row * y * y
        sums = (hu, hux, huy, hy, hxy, hyy)
        for k in tl.static_range(6):
            tl.store(moments + k * COUNT + index, tl.sum(sums[k]))
        for k in tl.static_range(CHANNELS):
            tl.store(d_amplitude + index * CHANNELS + k, tl.sum(channels[k]))
