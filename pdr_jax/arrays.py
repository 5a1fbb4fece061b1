"""The arrays that public functions take, and the check of a prediction against its target."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

AnyArray = jax.Array | np.ndarray
"""An array of JAX (traced or not) or of NumPy."""

Function = TypeVar("Function", bound=Callable[..., Any])


def on_pairs(function: Function) -> Function:
    """Decorates a function whose arguments `prediction` and `target` are compared.

    Both become JAX arrays of one dtype: float32, or float64 if either of them is. NumPy's arrays,
    lower precisions and integers are accepted.

    Raises:
      ValueError: when called with arrays of different shapes.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def checked(*args: Any, **options: Any) -> Any:
        bound = signature.bind(*args, **options)
        pair = bound.arguments["prediction"], bound.arguments["target"]
        shapes = tuple(np.shape(array) for array in pair)
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"prediction has shape {shapes[0]}, target {shapes[1]}; expected equal shapes"
            )
        dtype = jnp.promote_types(jnp.result_type(*pair), jnp.float32)
        for name, array in zip(("prediction", "target"), pair, strict=True):
            bound.arguments[name] = jnp.asarray(array, dtype)
        return function(*bound.args, **bound.kwargs)

    return cast(Function, checked)


def lead_times(horizon: int) -> Float[Array, " T"]:
    """A feature that tells networks how far ahead a frame lies: k / (k + 10) for frame k, from 1.

    It depends on nothing but k and stays below 1, so that a network can be applied to more frames
    than it was trained on.
    """
    k = jnp.arange(1, horizon + 1, dtype=jnp.float32)
    return k / (k + 10)
