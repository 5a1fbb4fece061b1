"""The backward pass of `jax_triton`."""

import jax
import jax.numpy as jnp

from pallas_kernels.jax_triton_call import Launch, call
from pallas_kernels.ssim.fused import Geometry
from pallas_kernels.ssim.jax_triton_strips import constants_of, strips_of


def backward(geometry: Geometry, x, y, maps, cotangent):
    """Cotangent of x (F, H, W, C), given that of each frame's mean (F,): see `ssim_with`."""
    from pallas_kernels.ssim.jax_triton_kernels.similarity_vjp import similarity_vjp

    frames, measure = x.shape[0], geometry.measure
    strips = strips_of(geometry.pixels, frames, geometry.channels)
    constants = constants_of(geometry, strips)
    # A pixel gathers from windows: the same window, flipped.
    constants |= {"ROWS": measure.rows[::-1], "COLUMNS": measure.columns[::-1]}
    rows, values = geometry.windows
    scale = (cotangent / (rows * values)).astype(jnp.float32)
    launch = Launch(similarity_vjp, (frames * strips.programs,), strips.lanes // 32, constants)
    return call(launch, (x, y, maps, scale), (jax.ShapeDtypeStruct(x.shape, x.dtype),))[0]
