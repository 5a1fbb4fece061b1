"""What the kernels for Mosaic GPU share: their launch, and how arrays lie over the threads.

A program is one warpgroup of 128 threads. Its arrays are patches of 128 pixels, one for each
thread, and Python lists of patches where a thread owns several pixels: what depends on the row or
the column alone is then computed once for all of them.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import mosaic_gpu as plgpu

from pallas_kernels import gpu
from pallas_kernels.splat2d.gather import CHUNK

ROWS, COLUMNS = 8, 16
"""Of a patch."""

Interpreter: Any = getattr(plgpu, "InterpretGPUParams", None)
"""None until jax 0.11."""


def require() -> None:
    """Checks that the kernels can run here: see `gather.splat_with`.

    Raises:
        NotImplementedError: there is no GPU of compute capability 9.0 or newer, or no interpreter.
    """
    if not gpu.interpreting():
        gpu.require((9, 0))
    elif Interpreter is None:
        raise NotImplementedError(
            f"jax {jax.__version__} has no interpreter for Mosaic GPU; jax 0.11 and newer have one"
        )


def call(kernel, geometry, name: str, programs: int, out_type, scratch_types: Sequence = ()):
    """A function of arrays that runs `kernel` in `programs` programs.

    The kernel finds its own number with `program()`.
    """
    interpret = Interpreter(detect_races=True) if geometry.interpret else None
    run = plgpu.kernel(
        kernel,
        out_type=out_type,
        scratch_types=scratch_types,
        grid=(programs,),
        grid_names=("program",),
        # Barriers around every store are not needed: where a thread reads what another wrote, the
        # kernel says so. Approximate is ex2.approx.ftz, 2^-22 relative.
        compiler_params=plgpu.CompilerParams(approx_math=True, unsafe_no_auto_barriers=True),
        interpret=interpret,
        kernel_name=name,
    )
    if not geometry.interpret:
        return run
    # The interpreter has ordered effects, which custom_partitioning (batching.py) does not allow.
    return partial(jax.pure_callback, jax.jit(run), out_type)


def program() -> jax.Array:
    """The number of this program."""
    return jax.lax.axis_index("program")


def zeros() -> jax.Array:
    """A patch of zeros."""
    return plgpu.layout_cast(jnp.zeros((ROWS, COLUMNS), jnp.float32), _patch())


def pixels() -> tuple[jax.Array, jax.Array]:
    """Row and column of each thread's pixel in its patch, int32."""
    shape = (ROWS, COLUMNS)
    row, column = (
        plgpu.broadcasted_iota(jnp.int32, shape, axis, layout=_patch()) for axis in (0, 1)
    )
    return row, column


def load_patch(frame, top, left) -> jax.Array:
    """The patch of a reference (H, W) that starts at row `top` and column `left`, as float32."""
    part = frame.at[pl.ds(top, ROWS), pl.ds(left, COLUMNS)]
    return _load(part, _patch()).astype(jnp.float32)


def store(target, value: jax.Array) -> None:
    """Stores to a reference, if need be by less than 32 neighbouring bytes at a time."""
    if hasattr(plgpu, "store"):
        plgpu.store(target, value, optimized=False)
    else:  # jax 0.11 and older do not ask
        target[...] = value


def load_lanes(row, first) -> jax.Array:
    """CHUNK elements of a reference, one in each lane, the same in all warps."""
    return _load(row.at[pl.ds(first, CHUNK)], _lanes())


def ballot_false(flags: jax.Array) -> jax.Array:
    """Which of CHUNK booleans, one in each lane, are false: the bits of an int32."""
    lane = plgpu.broadcasted_iota(jnp.int32, (CHUNK,), 0, layout=_lanes())
    return jnp.where(flags, 0, 1 << lane).sum(dtype=jnp.int32)


def sum_patches(patches) -> jax.Array:
    """The sums over each of 16 patches in shared memory, (16,): eight lanes work on a patch."""
    layout = plgpu.Layout.TILED(
        plgpu.Tiling(((16, 32), (4, 32), (4,))),
        warp_dims=(-5,),
        lane_dims=(-3, -2),
        vector_dim=-1,
    )
    return _load(patches, layout).sum(1)


def _load(source, layout):
    everything = ((),) if jax.__version_info__ < (0, 11) else ()  # an index, until jax 0.11
    return plgpu.load(source, *everything, layout=layout, optimized=False)


def _patch():
    return plgpu.Layout.WG_STRIDED((ROWS, COLUMNS), vec_size=1)


def _lanes():
    return plgpu.Layout.TILED(
        plgpu.Tiling(((CHUNK,), (1,))),
        warp_dims=(plgpu.Replicated(4),),
        lane_dims=(-2,),
        vector_dim=-1,
    )
