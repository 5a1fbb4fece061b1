"""The forward kernel."""

# ruff: noqa: RUF005 (Triton does not unpack into tuples)
# mypy: disable-error-code="assignment"

import triton
import triton.language as tl

from pallas_kernels.ssim.jax_triton_kernels.strip import add_row, add_tap, origin, place


@triton.jit
def similarity(
    x,
    y,
    row_scale,
    column_scale,
    sums,
    maps,
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
    LOW: tl.constexpr,
    C1: tl.constexpr,
    C2: tl.constexpr,
    UNBIASED: tl.constexpr,
    SIGNED: tl.constexpr,
    MAPS: tl.constexpr,
):
    """Adds up the similarities of a strip of windows, and writes their derivatives if MAPS."""
    TAPS_DOWN: tl.constexpr = len(ROWS)
    TAPS_ACROSS: tl.constexpr = len(COLUMNS)
    DOWN: tl.constexpr = HEIGHT if SAME else HEIGHT - TAPS_DOWN + 1
    ACROSS: tl.constexpr = WIDTH if SAME else WIDTH - TAPS_ACROSS + 1
    ABOVE: tl.constexpr = TAPS_DOWN // 2 if SAME else 0
    BEFORE: tl.constexpr = TAPS_ACROSS // 2 if SAME else 0
    MAP: tl.constexpr = DOWN * ACROSS * CHANNELS
    frame, first, count, channel, column, begin = place(DOWN, ACROSS, CHANNELS, LANES, WIDE, TALL)
    x += frame * (HEIGHT * WIDTH * CHANNELS)
    y += frame * (HEIGHT * WIDTH * CHANNELS)
    maps += frame * (3 * MAP)
    level = origin(x, y, channel, HEIGHT, WIDTH, CHANNELS, LATTICE)
    place_across = column * CHANNELS + channel
    scales = ()
    if SAME:
        for j in tl.static_range(WIDE):
            scales = scales + (tl.load(column_scale + column + j),)

    zero = tl.zeros((LANES,), tl.float32)
    begun = (zero,) * (4 * WIDE * (TAPS_DOWN - 1))
    total = zero
    for step in range(0, count + (TAPS_DOWN - 1)):
        row = first + step - ABOVE
        columns = tl.where(row.to(tl.uint32) < HEIGHT, WIDTH, 0).to(tl.uint32)
        x_row = x + row * (WIDTH * CHANNELS) + place_across
        y_row = y + row * (WIDTH * CHANNELS) + place_across
        across = (zero,) * (4 * WIDE)
        for tap in tl.static_range(TAPS_ACROSS + WIDE - 1):
            offset = (tap - BEFORE) * CHANNELS
            if SAME:
                inside = (column + (tap - BEFORE)).to(tl.uint32) < columns
                x_here = tl.load(x_row + offset, mask=inside, other=level.to(x.dtype.element_ty))
                y_here = tl.load(y_row + offset, mask=inside, other=level.to(y.dtype.element_ty))
            else:
                x_here, y_here = tl.load(x_row + offset), tl.load(y_row + offset)
            v = y_here.to(tl.float32) - level
            d = x_here.to(tl.float32) - y_here.to(tl.float32)
            across = add_tap(across, (v, d, (v + d) * v, d * d), tap, COLUMNS, TAPS_ACROSS, WIDE)
        moments, begun = add_row(begun, across, ROWS, TAPS_DOWN)

        if step >= TAPS_DOWN - 1:
            row = first + step - (TAPS_DOWN - 1)
            for j in tl.static_range(WIDE):
                v, d = moments[j], moments[WIDE + j]
                uv, dd = moments[2 * WIDE + j], moments[3 * WIDE + j]
                used = column + j >= begin
                if SAME:
                    scale = scales[j] * tl.load(row_scale + row)
                    v, d, uv, dd = v * scale, d * scale, uv * scale, dd * scale
                n = v + (level - LOW)
                a = 2 * (n + d) * n + C1
                b = 2 * UNBIASED * (uv - (v + d) * v) + C2
                brightness_rest = d * d
                contrast_rest = UNBIASED * (dd - d * d)
                by_a, by_b = 1 / (a + brightness_rest), 1 / (b + contrast_rest)
                brightness = 1 - brightness_rest * by_a
                contrast = 1 - contrast_rest * by_b
                value = brightness * contrast
                negative = (a < 0) & (b < 0)
                if SIGNED:
                    value = tl.where(negative, -value, value)
                total += tl.where(used, value, 0.0)
                if MAPS:
                    by_b *= UNBIASED
                    by_uv = 2 * brightness * by_b * (1 - contrast)
                    by_dd = -brightness * contrast * by_b
                    by_n = 2 * contrast * by_a * (n * (1 - brightness) - d * brightness)
                    by_x = by_n - by_uv * v - 2 * by_dd * d
                    factor = scale if SAME else 1.0
                    if SIGNED:
                        factor = tl.where(negative, -factor, factor)
                    out = maps + (row * ACROSS + j) * CHANNELS + place_across
                    tl.store(out, by_x * factor, mask=used)
                    tl.store(out + MAP, by_uv * factor, mask=used)
                    tl.store(out + 2 * MAP, by_dd * factor, mask=used)
    tl.store(sums + tl.program_id(0), tl.sum(total))
