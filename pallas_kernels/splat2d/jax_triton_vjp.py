"""The backward pass of `jax_triton`."""

import jax
import jax.numpy as jnp

from pallas_kernels.jax_triton_call import Launch, call
from pallas_kernels.splat2d import gather
from pallas_kernels.splat2d.factor import MOMENTS
from pallas_kernels.splat2d.jax_triton_constants import BLOCK, constants_of
from pallas_kernels.splat2d.tuned import tuned


def backward(geometry, gaussians, amplitude, cotangent, options=None):
    """The moments and amplitude's gradient: see `gather.splat_with`, and `plan` for options."""
    options = options or tuned("jax_triton_vjp", geometry, amplitude.shape[-1])
    if amplitude.shape[-1] <= gather.FEW:
        moments, d_amplitude = _reduce(geometry, gaussians, amplitude, cotangent, options)
        return moments[0], d_amplitude
    # A program reads the box of all its Gaussians: neighbours make it small.
    order = gather.along_curve(geometry, gaussians)
    gaussians = jnp.take_along_axis(gaussians, order[:, None], axis=2)
    amplitude = jnp.take_along_axis(amplitude, order[..., None], axis=1)
    moments, d_amplitude = _reduce(geometry, gaussians, amplitude, cotangent, options)
    place = jnp.argsort(order, axis=-1)
    moments = jnp.take_along_axis(moments.sum(0), place[:, None], axis=2)
    return moments, jnp.take_along_axis(d_amplitude, place[..., None], axis=1)


def _reduce(geometry, gaussians, amplitude, cotangent, options):
    """Moments (blocks of channels, F, MOMENTS, P), which are to be added up, and d_amplitude."""
    frames, count, channels = amplitude.shape
    launch = plan(geometry, frames, count, channels, **options)
    blocks = -(-channels // launch.constants.get("BLOCK", channels))
    out = (
        jax.ShapeDtypeStruct((blocks, frames, MOMENTS, count), jnp.float32),
        jax.ShapeDtypeStruct(amplitude.shape, jnp.float32),
    )
    arrays = [gaussians, amplitude, cotangent]
    if channels <= gather.FEW:  # one Gaussian at a time needs no order, and any array will do
        ordered = launch.constants["TOGETHER"] > 1
        arrays.append(gather.along_curve(geometry, gaussians) if ordered else gaussians)
    return call(launch, tuple(arrays), out)


def plan(
    geometry: gather.Geometry,
    frames: int,
    count: int,
    channels: int,
    *,
    owned: int | None = None,
    rows: int | None = None,
    columns: int | None = None,
    block: int = BLOCK,
    warps: int | None = None,
) -> Launch:
    """The backward kernel and its launch.

    Args:
        geometry: of the frames.
        frames: F.
        count: P, a multiple of 32.
        channels: C; up to gather.FEW they are added up one by one, more as products of matrices.
        owned: Gaussians of a program: a divisor of 32, 4 for few channels if it takes one at a
            time; 16 or 32 for many.
        rows: pixels that are read at a time, a power of two: 4 for few channels, 2 for many.
        columns: of them, a power of two: 8 for few channels, 16 for many.
        block: channels a program owns; used for many channels.
        warps: of a program, 2 for many channels. For few, each takes a Gaussian of its own: 1, or 8
            where neighbours are better read together.
    """
    from pallas_kernels.splat2d.jax_triton_kernels import few_vjp, many_vjp

    matrix = channels > gather.FEW
    if not warps:
        together = not matrix and gather.read_together(geometry, channels)
        warps, owned = (8, owned or 32) if together else (1 + matrix, owned)
    owned = owned or (16 if matrix else max(4, warps))
    constants = constants_of(geometry, count, channels) | {
        "OWNED": owned,
        "ROWS": rows or (2 if matrix else 4),
        "COLUMNS": columns or (16 if matrix else 8),
    }
    programs = frames * count // owned
    if matrix:
        constants["BLOCK"] = block
        programs *= -(-channels // block)
        return Launch(many_vjp.many_vjp, (programs,), warps, constants)
    widest = min((geometry.window or geometry.width) + 1, geometry.width)
    constants["ACROSS"] = min(-(-widest // constants["COLUMNS"]), 8)
    constants["TOGETHER"] = warps
    return Launch(few_vjp.few_vjp, (programs,), warps, constants)
