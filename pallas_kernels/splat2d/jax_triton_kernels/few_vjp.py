"""The backward kernel for few channels."""

# ruff: noqa: RUF005 (Triton does not unpack into tuples)
# mypy: disable-error-code="assignment"

import triton
import triton.language as tl

from pallas_kernels.splat2d.jax_triton_kernels.tile import OUTSIDE, first_and_last, load


@triton.jit
def few_vjp(
    gaussians,
    amplitude,
    cotangent,
    order,
    moments,
    d_amplitude,
    HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr,
    CHANNELS: tl.constexpr,
    COUNT: tl.constexpr,
    WINDOW: tl.constexpr,
    OWNED: tl.constexpr,
    TOGETHER: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    ACROSS: tl.constexpr,
):
    """Reduces the cotangent over the pixels of OWNED Gaussians, TOGETHER of them at a time.

    Each runs down strips of ACROSS x COLUMNS pixels, ROWS of them at a time. Those that are taken
    together are neighbours in `order`, which is not read for one at a time.
    """
    GROUPS: tl.constexpr = COUNT // OWNED
    WIDEST: tl.constexpr = min(WINDOW + 1, WIDTH) if WINDOW else WIDTH
    STRIPS: tl.constexpr = (WIDEST + ACROSS * COLUMNS - 1) // (ACROSS * COLUMNS)
    # Strips are moved to end in the frame, if they all fit into it.
    FITS: tl.constexpr = STRIPS * ACROSS * COLUMNS <= WIDTH
    frame = (tl.program_id(0) // GROUPS).to(tl.int64)
    first = tl.program_id(0) % GROUPS * OWNED
    gaussians += frame * (7 * COUNT)
    moments += frame * (6 * COUNT)
    amplitude += frame * (COUNT * CHANNELS)
    d_amplitude += frame * (COUNT * CHANNELS)
    cotangent += frame * (HEIGHT * WIDTH * CHANNELS)
    order += frame * COUNT

    zero = tl.zeros((TOGETHER, ROWS, COLUMNS), tl.float32)
    row = tl.arange(0, ROWS)[None, :, None]
    column = tl.arange(0, COLUMNS)[None, None, :]
    for place in range(first, first + OWNED, TOGETHER):
        index = place
        if TOGETHER > 1:
            index = place + tl.arange(0, TOGETHER)[:, None, None] + zero.to(tl.int32)
            # The mask changes nothing, but hides from Triton that these are neighbours in memory:
            # it would load them by a layout of threads that has to be changed afterwards.
            index = tl.load(order + (index & 0x3FFFFFFF))
        one = gaussians + index
        mean_x, mean_y, a, b, c = load(one, COUNT)
        left, right = first_and_last(mean_x, tl.load(one + 5 * COUNT), WIDTH)
        top, bottom = first_and_last(mean_y, tl.load(one + 6 * COUNT), HEIGHT)
        values = ()
        for k in tl.static_range(CHANNELS):
            values = values + (tl.load(amplitude + index * CHANNELS + k),)
        strips = (right - left + ACROSS * COLUMNS) // (ACROSS * COLUMNS)
        steps = tl.where(left > right, 0, (bottom - top + ROWS) // ROWS)
        if TOGETHER > 1:
            strips, steps = tl.max(strips), tl.max(steps)
        if STRIPS == 1:
            strips = 1
        start_x = tl.minimum(left, WIDTH - strips * (ACROSS * COLUMNS)) if FITS else left

        hu, hux, huy, hy, hxy, hyy = zero, zero, zero, zero, zero, zero
        channels = (zero,) * CHANNELS
        for strip in range(strips):
            xs, alongs, places = (), (), ()
            for k in tl.static_range(ACROSS):
                pixel = start_x + strip * (ACROSS * COLUMNS) + k * COLUMNS + column
                x = pixel - mean_x
                outside = (pixel < left) | (pixel > right)
                xs = xs + (x,)
                alongs = alongs + (tl.where(outside, OUTSIDE, a * x),)
                places = places + (tl.minimum(pixel, WIDTH - 1),)
            for step in range(steps):
                this = top + step * ROWS + row
                y = this - mean_y
                v = tl.where(this > bottom, OUTSIDE, c * y)
                across, low = b * y, 0.0 - v * v
                line = cotangent + tl.minimum(this, HEIGHT - 1) * (WIDTH * CHANNELS)
                pixels = line + (start_x + strip * (ACROSS * COLUMNS) + column) * CHANNELS
                h_row, hu_row, hx_row = zero, zero, zero
                for i in tl.static_range(ACROSS):
                    if not FITS:
                        pixels = line + places[i] * CHANNELS
                    u = alongs[i] + across
                    weight = tl.exp2(low - u * u)
                    h, added = zero, ()
                    for k in tl.static_range(CHANNELS):
                        at = k + (i * COLUMNS * CHANNELS if FITS else 0)
                        pull = tl.load(pixels + at).to(tl.float32)
                        h += values[k] * pull
                        added = added + (channels[k] + weight * pull,)
                    channels = added
                    h *= weight
                    product = h * u
                    h_row += h
                    hu_row += product
                    hx_row += h * xs[i]
                    hux += product * xs[i]
                # What depends on y multiplies sums over the pixels of a row.
                moved = h_row * y
                hu += hu_row
                huy += hu_row * y
                hy += moved
                hxy += hx_row * y
                hyy += moved * y
        sums = (hu, hux, huy, hy, hxy, hyy)
        for k in tl.static_range(6):
            tl.store(moments + k * COUNT + index, total(sums[k], TOGETHER))
        for k in tl.static_range(CHANNELS):
            tl.store(d_amplitude + index * CHANNELS + k, total(channels[k], TOGETHER))


@triton.jit
def total(x, TOGETHER: tl.constexpr):
    """The sum over the pixels of each Gaussian, the same in all threads of it."""
    if TOGETHER == 1:
        result = tl.sum(x)
    else:
        result = tl.broadcast_to(tl.sum(tl.sum(x, 2), 1)[:, None, None], x.shape)
    return result
