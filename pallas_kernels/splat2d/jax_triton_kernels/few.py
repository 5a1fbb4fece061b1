"""The forward kernel for few channels."""

# ruff: noqa: RUF005 (Triton does not unpack into tuples)
# mypy: disable-error-code="assignment"

import triton
import triton.language as tl

from pallas_kernels.splat2d.jax_triton_kernels.tile import (
    chunks_near,
    columns,
    hits,
    load,
    lowest,
    members,
    terms,
)


@triton.jit
def few(
    gaussians,
    amplitude,
    boxes,
    frames,
    HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr,
    CHANNELS: tl.constexpr,
    COUNT: tl.constexpr,
    WINDOW: tl.constexpr,
    SKIP: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    ACROSS: tl.constexpr,
):
    """Draws one tile of one frame, a Gaussian at a time.

    32 Gaussians are tested against the tile at once, one a lane; the hits become a mask, and the
    loop runs over its bits.
    """
    ACROSS_FRAME: tl.constexpr = (WIDTH + COLUMNS - 1) // COLUMNS
    TILES: tl.constexpr = (HEIGHT + ROWS - 1) // ROWS * ACROSS_FRAME
    CHUNKS: tl.constexpr = COUNT // 32
    frame = (tl.program_id(0) // TILES).to(tl.int64)
    tile = tl.program_id(0) % TILES
    top, left = tile // ACROSS_FRAME * ROWS, tile % ACROSS_FRAME * COLUMNS
    bottom, right = top + ROWS - 1, left + COLUMNS - 1
    gaussians += frame * (7 * COUNT)
    amplitude += frame * (COUNT * CHANNELS)
    boxes += frame * (4 * ((CHUNKS + 31) // 32 * 32))

    thread, step = columns(COLUMNS, ACROSS)
    column = left + thread + step
    row = top + tl.arange(0, ROWS)[None, :, None]
    total = (tl.zeros((ACROSS, ROWS, COLUMNS // ACROSS), tl.float32),) * CHANNELS
    for group in range(0, (CHUNKS + 31) // 32):
        chunks = chunks_near(boxes, group, left, right, top, bottom, CHUNKS, SKIP)
        while chunks != 0:
            chunk, chunks = lowest(chunks)
            first = (group * 32 + chunk) * 32
            mask = members(hits(gaussians + first, left, right, top, bottom, COUNT))
            while mask != 0:
                bit, mask = lowest(mask)
                x, y, a, b, c = load(gaussians + first + bit, COUNT)
                along, across, low = terms(column - x, row - y, a, b, c, WINDOW)
                u = along + across
                weight = tl.exp2(low - u * u)
                values = amplitude + first * CHANNELS + bit * CHANNELS
                added = ()
                for k in tl.static_range(CHANNELS):
                    added = added + (total[k] + weight * tl.load(values + k),)
                total = added

    inside = (row < HEIGHT) & (column < WIDTH)
    pixels = frames + frame * (HEIGHT * WIDTH * CHANNELS) + (row * WIDTH + column) * CHANNELS
    for k in tl.static_range(CHANNELS):
        tl.store(pixels + k, total[k].to(frames.dtype.element_ty), mask=inside)
