"""SSIM in Triton proper, for NVIDIA GPUs from Ampere on.

The algorithm is that of `pallas_triton`: see there and `stream` for the terms and the strips. Here
a lane owns WIDE columns, which share what they load and multiply: with two columns a window across
costs 6 loads of each array a pixel instead of 11.
"""

import jax
import jax.numpy as jnp

from pallas_kernels.jax_triton_call import Launch, call, require
from pallas_kernels.ssim import jax_triton_vjp
from pallas_kernels.ssim.fused import Geometry, border_scales, ssim_with
from pallas_kernels.ssim.jax_triton_strips import constants_of, strips_of


def forward(geometry: Geometry, x, y, maps: bool = False):
    """Mean SSIM of each frame (F,), and with `maps` what `backward` reads: see `ssim_with`."""
    from pallas_kernels.ssim.jax_triton_kernels.similarity import similarity

    measure, frames = geometry.measure, x.shape[0]
    strips = strips_of(geometry.windows, frames, geometry.channels)
    constants = constants_of(geometry, strips)
    constants |= {
        "ROWS": measure.rows,
        "COLUMNS": measure.columns,
        "LOW": measure.low,
        "C1": measure.constants[0],
        "C2": measure.constants[1],
        "UNBIASED": measure.unbiased,
        "SIGNED": measure.signed,
        "MAPS": maps,
    }
    out = (
        jax.ShapeDtypeStruct((frames, strips.programs), jnp.float32),
        # Without maps the kernel writes none, and any array will do.
        jax.ShapeDtypeStruct((frames, 3, *geometry.windows) if maps else (1,), jnp.float32),
    )
    launch = Launch(similarity, (frames * strips.programs,), strips.lanes // 32, constants)
    sums, found = call(launch, (x, y, *(border_scales(geometry) or (x, x))), out)
    rows, values = geometry.windows
    mean = sums.sum(-1) / (rows * values)
    return (mean, found) if maps else (mean,)


ssim = ssim_with(forward, jax_triton_vjp.backward, require)
