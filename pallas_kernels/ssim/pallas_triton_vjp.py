"""The cotangent of SSIM's first argument in Pallas for Triton.

A pixel gathers from the windows that it lies in: the same window, flipped, slides over the maps
that the forward kernel wrote. The least work is to read three maps and both frames and to write one
frame, 24 bytes of float32 a pixel, and 2 x 11 x 3 multiply-adds.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax.experimental.pallas import triton as plt

from pallas_kernels.ssim.fused import Geometry
from pallas_kernels.ssim.stream import call, origin, slide, strips_of


def backward(geometry: Geometry, x, y, maps, cotangent):
    """Cotangent of x (F, H, W, C), given that of each frame's mean (F,).

    `maps` (F, 3, H', W' C) are those that `pallas_triton.forward` made of the same x and y.
    """
    frames, shape = x.shape[0], x.shape
    strips = strips_of(geometry.pixels, frames, geometry.channels)
    x, y = (z.reshape(frames, *geometry.pixels) for z in (x, y))
    rows, values = geometry.windows
    scale = (cotangent / (rows * values)).astype(jnp.float32).reshape(frames, 1)
    out = jax.ShapeDtypeStruct(x.shape, x.dtype)
    kernel = partial(_kernel, geometry, strips)
    return call(geometry, strips, kernel, [x, y, maps, scale], out, "ssim_vjp").reshape(shape)


def _kernel(geometry, strips, x, y, maps, scale, out):
    measure, plain = geometry.measure, geometry.interpret
    _, first, count, own, lane = strips.place()
    used = own < strips.shape[1]
    level = origin(geometry, y, lane)
    rows, values = geometry.windows
    above, before = (
        len(w) // 2 if measure.padding == "same" else len(w) - 1
        for w in (measure.rows, measure.columns)
    )
    factor = scale[0]

    def load(step, tap):
        row, value = first + (step - above), lane + (tap - before) * geometry.channels
        in_map = (row >= 0) & (row < rows) & (value >= 0) & (value < values)
        return [plt.load(maps.at[i, row, value], mask=in_map, other=0) for i in range(3)]

    def emit(row, filtered, state):
        by_x, by_uv, by_dd = filtered
        x_here, y_here = (z[first + row, lane].astype(jnp.float32) for z in (x, y))
        d, v = x_here - y_here, y_here - level
        gradient = factor * (by_x + v * by_uv + 2 * d * by_dd)
        plt.store(out.at[first + row, own], gradient.astype(out.dtype), mask=used)
        return state

    zeros = [jnp.zeros(lane.shape, jnp.float32)] * 3
    slide(load, emit, measure.rows[::-1], measure.columns[::-1], count, (), zeros, plain)
