"""SSIM fused into one kernel in Pallas for Triton (Ampere and newer), and the VJP around it.

Each program writes the sum of its windows' SSIM, and a frame's sums are added up outside. The least
work is to read both frames once, 8 bytes of float32 a pixel (1.9 ps at 4.3 TB/s), and 2 x 11 x 4
multiply-adds (2.6 ps). For training the kernel also writes the three maps that `pallas_triton_vjp`
reads. The loss comes last in a forward pass, so kept maps take no more memory than new ones would.

A window's moments are the means of v = y - origin, d = x - y, u v and d^2, with u = x - origin.
With a = 2 m n + C1 and b = 2 v_xy + C2 in the terms of `reference`,

    SSIM = a / (a + mean(d)^2) * b / (b + var(d)),

which is 1 exactly where x = y, and its gradient there exactly 0. The denominators are positive, so
a factor has the sign of a or of b, which is all that a `signed` measure asks for.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax.experimental.pallas import triton as plt

from pallas_kernels import gpu
from pallas_kernels.ssim import pallas_triton_vjp
from pallas_kernels.ssim.fused import Geometry, border_scales, ssim_with
from pallas_kernels.ssim.stream import call, origin, slide, strips_of


def forward(geometry: Geometry, x, y, maps: bool = False):
    """Mean SSIM of each frame (F,), and with `maps` what `backward` reads: see `ssim_with`."""
    frames = x.shape[0]
    strips = strips_of(geometry.windows, frames, geometry.channels)
    x, y = (z.reshape(frames, *geometry.pixels) for z in (x, y))
    tables = border_scales(geometry)
    out = [jax.ShapeDtypeStruct((frames, strips.programs), jnp.float32)]
    if maps:
        out.append(jax.ShapeDtypeStruct((frames, 3, *geometry.windows), jnp.float32))
    kernel = partial(_kernel, geometry, strips, bool(tables))
    sums, *rest = call(geometry, strips, kernel, [x, y, *tables], out, "ssim")
    rows, values = geometry.windows
    return sums.sum(-1) / (rows * values), *rest


def _kernel(geometry, strips, same, x, y, *refs):
    measure, plain = geometry.measure, geometry.interpret
    piece, first, count, own, lane = strips.place()
    used = own < strips.shape[1]
    level = origin(geometry, y, lane)
    above, before = (len(w) // 2 if same else 0 for w in (measure.rows, measure.columns))
    if same:
        row_scale, column_scale = refs[:2]
        across = column_scale[lane // geometry.channels]
    sums, *maps = refs[2 * same :]

    def load(step, tap):
        row, value = first + (step - above), lane + (tap - before) * geometry.channels
        if not same:
            x_here, y_here = (z[row, value].astype(jnp.float32) for z in (x, y))
            d, v = x_here - y_here, y_here - level
        else:
            in_frame = (row >= 0) & (row < geometry.height)
            in_frame &= (value >= 0) & (value < geometry.pixels[1])
            x_here, y_here = (
                plt.load(z.at[row, value], mask=in_frame, other=0).astype(jnp.float32)
                for z in (x, y)
            )
            d, v = x_here - y_here, jnp.where(in_frame, y_here - level, 0)
        return v, d, (v + d) * v, d * d

    def emit(row, moments, total):
        if same:
            scale = across * row_scale[first + row]
            moments = [moment * scale for moment in moments]
        v, d, uv, dd = moments
        c1, c2 = measure.constants
        n = v + (level - measure.low)
        a = 2 * (n + d) * n + c1
        b = 2 * measure.unbiased * (uv - (v + d) * v) + c2
        brightness_rest = d * d
        contrast_rest = measure.unbiased * (dd - d * d)
        brightness, contrast = a / (a + brightness_rest), b / (b + contrast_rest)

        def signed(value):
            return jnp.where((a < 0) & (b < 0), -value, value) if measure.signed else value

        if maps:
            by_a, by_b = 1 / (a + brightness_rest), measure.unbiased / (b + contrast_rest)
            by_uv = 2 * brightness * by_b * (contrast_rest / (b + contrast_rest))
            by_dd = -brightness * contrast * by_b
            by_n = 2 * contrast * by_a * (n * brightness_rest * by_a - d * brightness)
            by_x = by_n - by_uv * v - 2 * by_dd * d
            for index, value in enumerate((by_x, by_uv, by_dd)):
                value = value * scale if same else value
                plt.store(maps[0].at[index, first + row, own], signed(value), mask=used)
        return total + jnp.where(used, signed(brightness * contrast), 0)

    zero = jnp.zeros(lane.shape, jnp.float32)
    total = slide(load, emit, measure.rows, measure.columns, count, zero, [zero] * 4, plain)
    sums[piece] = total.sum()


def _require():
    if not gpu.interpreting():
        gpu.require((8, 0))


ssim = ssim_with(forward, pallas_triton_vjp.backward, _require)
