"""One number for each channel: a layer's bias, a branch's gain, a gate that saw all of the frame.

Applied in float32 (or wider) whatever the compute dtype. JAX sums a gradient over all positions in
the dtype that the operation had, and a bfloat16 sum of many terms stops growing.
"""

import jax.numpy as jnp
from jax import Array


def add_bias(x: Array, bias: Array | None) -> Array:
    """`x` (..., C) plus `bias` (C,), if there is one, in the dtype of `x`."""
    return x if bias is None else (x + _wide(bias, x)).astype(x.dtype)


def apply_gain(x: Array, gain: Array) -> Array:
    """`x` (..., C) times `gain` (C,) or (N, 1, ..., C), in the dtype of `x`."""
    return (x * _wide(gain, x)).astype(x.dtype)


def _wide(vector: Array, x: Array) -> Array:
    vector = vector.astype(jnp.promote_types(vector.dtype, jnp.float32))
    return vector.reshape((1,) * (x.ndim - vector.ndim) + vector.shape)
