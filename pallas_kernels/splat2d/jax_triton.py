"""The implementation in Triton proper, for NVIDIA GPUs from Ampere on."""

import jax
import jax.numpy as jnp

from pallas_kernels.jax_triton_call import Launch, call, require
from pallas_kernels.splat2d import gather, jax_triton_vjp
from pallas_kernels.splat2d.jax_triton_constants import ACROSS, BLOCK, constants_of
from pallas_kernels.splat2d.tuned import tuned


def forward(geometry, gaussians, amplitude, boxes, options=None):
    """Frames (F, H, W, C) of packed Gaussians: see `gather.splat_with`, and `plan` for options."""
    frames, count, channels = amplitude.shape
    options = options or tuned("jax_triton", geometry, channels)
    launch = plan(geometry, frames, count, channels, **options)
    shape = (frames, geometry.height, geometry.width, channels)
    out = [jax.ShapeDtypeStruct(shape, geometry.dtype)]
    if channels > gather.FEW:
        # A program lists here the Gaussians that hit its tile.
        out.append(jax.ShapeDtypeStruct((*launch.grid, 32 * gather.CHUNK), jnp.int32))
    # Without boxes the kernel reads none, and any array will do.
    arrays = (gaussians, amplitude, gaussians if boxes is None else boxes)
    return call(launch, arrays, out)[0]


def plan(
    geometry: gather.Geometry,
    frames: int,
    count: int,
    channels: int,
    *,
    rows: int | None = None,
    columns: int = 16,
    block: int = BLOCK,
    warps: int | None = None,
) -> Launch:
    """The forward kernel and its launch.

    Args:
        geometry: of the frames.
        frames: F.
        count: P, a multiple of 32.
        channels: C; up to gather.FEW they are added up one by one, more as a product of matrices.
        rows: of a tile, a power of two: 16 for few channels, 8 for many.
        columns: of a tile, a power of two.
        block: channels a program owns; used for many channels.
        warps: of a program: 1 for few channels, so that no warp waits for another; 4 for many.
    """
    from pallas_kernels.splat2d.jax_triton_kernels import few, many

    matrix = channels > gather.FEW
    rows = rows or (8 if matrix else 16)
    programs = frames * -(-geometry.height // rows) * -(-geometry.width // columns)
    constants = constants_of(geometry, count, channels)
    constants |= {"SKIP": count > gather.SORTED, "ROWS": rows, "COLUMNS": columns}
    if not matrix:
        constants["ACROSS"] = ACROSS
        return Launch(few.few, (programs,), warps or 1, constants)
    constants["BLOCK"] = block
    return Launch(many.many, (programs * -(-channels // block),), warps or 4, constants)


splat = gather.splat_with(forward, jax_triton_vjp.backward, require)
