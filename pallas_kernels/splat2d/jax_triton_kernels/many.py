"""The forward kernel for many channels: a product of matrices."""

import triton
import triton.language as tl

from pallas_kernels.splat2d.jax_triton_kernels.tile import chunks_near, hits, load, lowest, terms


@triton.jit
def many(
    gaussians,
    amplitude,
    boxes,
    frames,
    found,
    HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr,
    CHANNELS: tl.constexpr,
    COUNT: tl.constexpr,
    WINDOW: tl.constexpr,
    SKIP: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Draws BLOCK channels of one tile of one frame, 32 Gaussians at a time.

    It takes 1024 Gaussians at a time and writes the indices of those that hit the tile to `found`,
    so that the matrices hold no others. It then adds up weights (pixels, 32) times amplitudes
    (32, BLOCK) in float32: by three tf32 products for float32 frames, by one for bfloat16 frames.
    """
    ACROSS_FRAME: tl.constexpr = (WIDTH + COLUMNS - 1) // COLUMNS
    TILES: tl.constexpr = (HEIGHT + ROWS - 1) // ROWS * ACROSS_FRAME
    BLOCKS: tl.constexpr = (CHANNELS + BLOCK - 1) // BLOCK
    CHUNKS: tl.constexpr = COUNT // 32
    PIXELS: tl.constexpr = ROWS * COLUMNS
    program = tl.program_id(0)
    found += program.to(tl.int64) * 1024
    channel = program % BLOCKS * BLOCK + tl.arange(0, BLOCK)[None, :]
    tile = program // BLOCKS % TILES
    frame = (program // BLOCKS // TILES).to(tl.int64)
    top, left = tile // ACROSS_FRAME * ROWS, tile % ACROSS_FRAME * COLUMNS
    bottom, right = top + ROWS - 1, left + COLUMNS - 1
    gaussians += frame * (7 * COUNT)
    amplitude += frame * (COUNT * CHANNELS)
    boxes += frame * (4 * ((CHUNKS + 31) // 32 * 32))

    lane = tl.arange(0, 32)
    column = left + tl.arange(0, COLUMNS)[None, :, None]
    row = top + tl.arange(0, ROWS)[:, None, None]
    total = tl.zeros((PIXELS, BLOCK), tl.float32)
    for group in range(0, (CHUNKS + 31) // 32):
        chunks = chunks_near(boxes, group, left, right, top, bottom, CHUNKS, SKIP)
        count = 0
        while chunks != 0:
            chunk, chunks = lowest(chunks)
            first = (group * 32 + chunk) * 32
            hit = hits(gaussians + first, left, right, top, bottom, COUNT).to(tl.int32)
            place = count + tl.cumsum(hit, 0) - hit
            tl.store(found + place, first + lane, mask=hit != 0)
            count += tl.sum(hit, 0)
        tl.debug_barrier()  # the writes are seen by all threads
        for start in range(0, count, 32):
            live = start + lane < count
            index = tl.load(found + start + lane, mask=live, other=0)
            x, y, a, b, c = load((gaussians + index)[None, None, :], COUNT)
            along, across, low = terms(column - x, row - y, a, b, c, WINDOW)
            low = tl.where(live[None, None, :], low, float("-inf"))
            u = along + across
            weight = tl.reshape(tl.exp2(low - u * u), (PIXELS, 32))
            inside = live[:, None] & (channel < CHANNELS)
            values = amplitude + index[:, None] * CHANNELS + channel
            value = tl.load(values, mask=inside, other=0.0)
            if frames.dtype.element_ty == tl.bfloat16:
                total = tl.dot(weight.to(tl.bfloat16), value.to(tl.bfloat16), total)
            else:
                total = tl.dot(weight, value, total, input_precision="tf32x3")
        tl.debug_barrier()  # all threads have read

    pixel = tl.arange(0, PIXELS)[:, None]
    y, x = top + pixel // COLUMNS, left + pixel % COLUMNS
    inside = (y < HEIGHT) & (x < WIDTH) & (channel < CHANNELS)
    pixels = frames + frame * (HEIGHT * WIDTH * CHANNELS) + (y * WIDTH + x) * CHANNELS + channel
    tl.store(pixels, total.to(frames.dtype.element_ty), mask=inside)
