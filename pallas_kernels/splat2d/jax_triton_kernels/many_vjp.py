"""The backward kernel for many channels: products of matrices."""

import triton
import triton.language as tl

from pallas_kernels.splat2d.jax_triton_kernels.tile import first_and_last, load, terms


@triton.jit
def many_vjp(
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
    BLOCK: tl.constexpr,
):
    """Reduces BLOCK channels of the cotangent over the pixels that OWNED Gaussians reach.

    The program runs over the tiles of their common box that one of them reaches. Moments are sums
    over channels: every block writes its own, (blocks, F, 6, P), to be added up outside.
    """
    BLOCKS: tl.constexpr = (CHANNELS + BLOCK - 1) // BLOCK
    GROUPS: tl.constexpr = COUNT // OWNED
    PIXELS: tl.constexpr = ROWS * COLUMNS
    program = tl.program_id(0)
    block = program % BLOCKS
    frame = (program // BLOCKS // GROUPS).to(tl.int64)
    frames = (tl.num_programs(0) // BLOCKS // GROUPS).to(tl.int64)
    gaussians += frame * (7 * COUNT)
    moments += (block * frames + frame) * (6 * COUNT)
    amplitude += frame * (COUNT * CHANNELS)
    d_amplitude += frame * (COUNT * CHANNELS)
    cotangent += frame * (HEIGHT * WIDTH * CHANNELS)

    index = program // BLOCKS % GROUPS * OWNED + tl.arange(0, OWNED)
    channel = block * BLOCK + tl.arange(0, BLOCK)[None, :]
    one = gaussians + index
    mean_x, mean_y, a, b, c = load(one, COUNT)
    left, right = first_and_last(mean_x, tl.load(one + 5 * COUNT), WIDTH)
    top, bottom = first_and_last(mean_y, tl.load(one + 6 * COUNT), HEIGHT)
    drawn = (left <= right) & (top <= bottom)
    left, right = tl.where(drawn, left, WIDTH), tl.where(drawn, right, -1)
    top, bottom = tl.where(drawn, top, HEIGHT), tl.where(drawn, bottom, -1)

    values = amplitude + index[:, None] * CHANNELS + channel
    value = tl.load(values, mask=channel < CHANNELS, other=0.0)
    if cotangent.dtype.element_ty == tl.bfloat16:
        value = value.to(tl.bfloat16)
    pixel = tl.arange(0, PIXELS)[:, None]
    hu = tl.zeros((PIXELS, OWNED), tl.float32)
    hux, huy, hy, hxy, hyy = hu, hu, hu, hu, hu
    channels = tl.zeros((OWNED, BLOCK), tl.float32)
    last_x, last_y = tl.max(right, 0), tl.max(bottom, 0)
    for start_y in range(tl.min(top, 0), last_y + 1, ROWS):
        for start_x in range(tl.min(left, 0), last_x + 1, COLUMNS):
            reached = (left < start_x + COLUMNS) & (right >= start_x)
            reached &= (top < start_y + ROWS) & (bottom >= start_y)
            if tl.max(reached.to(tl.int32), 0) != 0:
                y, x = start_y + pixel // COLUMNS, start_x + pixel % COLUMNS
                inside = (y < HEIGHT) & (x < WIDTH) & (channel < CHANNELS)
                pixels = cotangent + (y * WIDTH + x) * CHANNELS + channel
                pull = tl.load(pixels, mask=inside, other=0.0)

                y = start_y + tl.arange(0, ROWS)[:, None, None] - mean_y[None, None, :]
                x = start_x + tl.arange(0, COLUMNS)[None, :, None] - mean_x[None, None, :]
                along, across, low = terms(
                    x, y, a[None, None, :], b[None, None, :], c[None, None, :], WINDOW
                )
                u = along + across
                weight = tl.reshape(tl.exp2(low - u * u), (PIXELS, OWNED))
                if cotangent.dtype.element_ty == tl.bfloat16:
                    h = tl.dot(pull, tl.trans(value))
                    channels = tl.dot(tl.trans(weight.to(tl.bfloat16)), pull, channels)
                else:
                    h = tl.dot(pull, tl.trans(value), input_precision="tf32x3")
                    channels = tl.dot(tl.trans(weight), pull, channels, input_precision="tf32x3")
                h *= weight
                u = tl.reshape(u, (PIXELS, OWNED))
                x = start_x + pixel % COLUMNS - mean_x[None, :]
                y = start_y + pixel // COLUMNS - mean_y[None, :]
                hu += h * u
                hux += h * u * x
                huy += h * u * y
                hy += h * y
                hxy += h * y * x
                hyy += h * y * y

    row = moments + index
    tl.store(row, tl.sum(hu, 0))
    tl.store(row + COUNT, tl.sum(hux, 0))
    tl.store(row + 2 * COUNT, tl.sum(huy, 0))
    tl.store(row + 3 * COUNT, tl.sum(hy, 0))
    tl.store(row + 4 * COUNT, tl.sum(hxy, 0))
    tl.store(row + 5 * COUNT, tl.sum(hyy, 0))
    tl.store(d_amplitude + index[:, None] * CHANNELS + channel, channels, mask=channel < CHANNELS)
