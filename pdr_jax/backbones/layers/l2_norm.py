"""The length of vectors, with a gradient also where it is 0."""

import jax.numpy as jnp
from jax import Array


def l2_norm(x: Array, axis: int | tuple[int, ...]) -> Array:
    """The L2 norm over `axis`, which is kept; float32 or wider. Where it is 0, so is its gradient.

    As PyTorch's: the gradient of a root is not finite there.
    """
    squares = jnp.square(x.astype(jnp.promote_types(x.dtype, jnp.float32))).sum(axis, keepdims=True)
    some = squares > 0
    return jnp.where(some, jnp.sqrt(jnp.where(some, squares, 1)), 0)
