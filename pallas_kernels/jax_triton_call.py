"""Triton proper, which reaches JAX through the optional package jax-triton.

Only the packages `jax_triton_kernels` import triton, and they are imported when a kernel is
launched: neither package needs to be installed to import anything else.
"""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from pallas_kernels import gpu


class Launch(NamedTuple):
    """A kernel and all that it is compiled for and launched with, beside its arrays."""

    kernel: Callable
    """A triton.jit function of the arrays read, then the arrays written, then the constants."""
    grid: tuple[int, ...]
    warps: int
    constants: dict[str, Any]


def require() -> None:
    """Checks that Triton kernels can run here.

    Raises:
        NotImplementedError: what is missing and how to get it.
    """
    if gpu.interpreting():
        raise NotImplementedError(
            "jax-triton has no interpreter: unset PALLAS_KERNELS_INTERPRET, or ask for a Pallas "
            "implementation"
        )
    gpu.require((8, 0))
    try:
        _package()
    except ImportError as error:
        raise NotImplementedError(
            f"needs jax-triton and triton ({str(error).splitlines()[0]}): pip install jax-triton"
        ) from error


def call(launch: Launch, arrays: tuple[jax.Array, ...], out: Any) -> Any:
    """Runs a kernel.

    Args:
        launch: the kernel.
        arrays: what it reads.
        out: jax.ShapeDtypeStruct, or several, of what it writes.

    Returns:
        An array, or several, as in `out`.
    """
    triton_call = _package().triton_call
    # jax-triton 0.4 renamed the argument and warns about its old name.
    renamed = "out_type" in inspect.signature(triton_call).parameters
    return triton_call(
        *arrays,
        kernel=launch.kernel,
        grid=launch.grid,
        num_warps=launch.warps,
        num_stages=1,
        **{"out_type" if renamed else "out_shape": out},
        **launch.constants,
    )


def _package():
    import jax_triton
    import triton  # noqa: F401  jax-triton 0.3 hides that it is missing

    return jax_triton
