"""Tries an implementation by itself before a caller's program depends on it.

Kernels are lowered and compiled long after they are called, inside the caller's jax.jit, where
nothing can take the place of one that fails: lowering may raise any error, `ptxas` may refuse what
JAX and Triton made, and a launch may ask for more than the device has. So an implementation is run
alone first, forward and backward, on one frame of zeros. This is done once in a process for each
shape of frames, and takes as long as compiling the kernels. An error that ends the process cannot
be caught: there, the environment variable has to name another implementation.

The outcome follows from device and versions alone: processes on equal machines choose alike.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp


def failure(
    implementation: Callable, arrays: Sequence[jax.Array], options: Mapping[str, Any]
) -> str | None:
    """Why an implementation fails on this device, or None.

    Args:
        implementation: a differentiable function of arrays and options.
        arrays: (F, ...), of which shapes and dtypes count, but not F.
        options: hashable, passed to `implementation`.

    Raises:
        NotImplementedError: it says that it does not serve these arguments.
    """
    shapes = tuple(jax.ShapeDtypeStruct((1, *x.shape[1:]), x.dtype) for x in arrays)
    wide, device = jax.config.jax_enable_x64, jax.config.jax_default_device
    return _outcome(implementation, shapes, frozenset(options.items()), wide, device)


@cache
def _outcome(implementation, shapes, options, wide, device):
    both = partial(value_and_cotangents, partial(implementation, **dict(options)))

    def run():
        with jax.enable_x64(wide), jax.default_device(device):
            traced = jax.jit(both).trace(*shapes)
            try:
                compiled = traced.lower().compile()
            except NotImplementedError as error:  # of Pallas: what is asked for would be served
                raise RuntimeError(*error.args) from error
            jax.block_until_ready(compiled(*(jnp.zeros(x.shape, x.dtype) for x in shapes)))

    # A thread of its own is outside of the caller's transformations, meshes and axis names.
    with ThreadPoolExecutor(1) as alone:
        try:
            alone.submit(run).result()
        except NotImplementedError:
            raise
        except Exception as error:
            return f"{type(error).__name__}: {error}"
    return None


def value_and_cotangents(function: Callable, *arrays: jax.Array):
    """The value, and the cotangents of the arrays for the value itself as its cotangent."""
    value, pull = jax.vjp(function, *arrays)
    return value, pull(value)
