"""The backward kernel."""

import triton
import triton.language as tl

from pallas_kernels.ssim.jax_triton_kernels.strip import add_row, add_tap, origin, place


@triton.jit
def similarity_vjp(
    x,
    y,
    maps,
    scale,
    gradient,
    HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr,
    CHANNELS: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    SAME: tl.constexpr,
    LATTICE: tl.constexpr,
    LANES: tl.constexpr,
    WIDE: tl.constexpr,
    TALL: tl.constexpr,
):
    """Gathers a strip of the gradient from the windows that a pixel lies in."""
    TAPS_DOWN: tl.constexpr = len(ROWS)
    TAPS_ACROSS: tl.constexpr = len(COLUMNS)
    DOWN: tl.constexpr = HEIGHT if SAME else HEIGHT - TAPS_DOWN + 1
    ACROSS: tl.constexpr = WIDTH if SAME else WIDTH - TAPS_ACROSS + 1
    ABOVE: tl.constexpr = TAPS_DOWN // 2 if SAME else TAPS_DOWN - 1
    BEFORE: tl.constexpr = TAPS_ACROSS // 2 if SAME else TAPS_ACROSS - 1
    MAP: tl.constexpr = DOWN * ACROSS * CHANNELS
    frame, first, count, channel, column, begin = place(HEIGHT, WIDTH, CHANNELS, LANES, WIDE, TALL)
    x += frame * (HEIGHT * WIDTH * CHANNELS)
    y += frame * (HEIGHT * WIDTH * CHANNELS)
    gradient += frame * (HEIGHT * WIDTH * CHANNELS)
    maps += frame * (3 * MAP)
    level = origin(x, y, channel, HEIGHT, WIDTH, CHANNELS, LATTICE)
    factor = tl.load(scale + frame)
    place_across = column * CHANNELS + channel

    zero = tl.zeros((LANES,), tl.float32)
    begun = (zero,) * (3 * WIDE * (TAPS_DOWN - 1))
    for step in range(0, count + (TAPS_DOWN - 1)):
        row = first + step - ABOVE
        columns = tl.where(row.to(tl.uint32) < DOWN, ACROSS, 0).to(tl.uint32)
        map_row = maps + row * (ACROSS * CHANNELS) + place_across
        across = (zero,) * (3 * WIDE)
        for tap in tl.static_range(TAPS_ACROSS + WIDE - 1):
            inside = (column + (tap - BEFORE)).to(tl.uint32) < columns
            value = map_row + (tap - BEFORE) * CHANNELS
            by_x = tl.load(value, mask=inside, other=0.0)
            by_uv = tl.load(value + MAP, mask=inside, other=0.0)
            by_dd = tl.load(value + 2 * MAP, mask=inside, other=0.0)
            across = add_tap(across, (by_x, by_uv, by_dd), tap, COLUMNS, TAPS_ACROSS, WIDE)
        filtered, begun = add_row(begun, across, ROWS, TAPS_DOWN)

        if step >= TAPS_DOWN - 1:
            pixels = (first + step - (TAPS_DOWN - 1)) * (WIDTH * CHANNELS) + place_across
            for j in tl.static_range(WIDE):
                by_x, by_uv, by_dd = filtered[j], filtered[WIDE + j], filtered[2 * WIDE + j]
                y_here = tl.load(y + pixels + j * CHANNELS).to(tl.float32)
                d = tl.load(x + pixels + j * CHANNELS).to(tl.float32) - y_here
                found = factor * (by_x + (y_here - level) * by_uv + 2 * d * by_dd)
                out = gradient + pixels + j * CHANNELS
                tl.store(out, found.to(gradient.dtype.element_ty), mask=column + j >= begin)
