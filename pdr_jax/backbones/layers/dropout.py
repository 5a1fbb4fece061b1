"""Dropout of values, and of residual branches (stochastic depth)."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from pdr_jax.sharding import drawn_for_clips


class Dropout(nn.Module):
    """flax.linen.Dropout, whose draws do not depend on how many devices share a batch.

    Attributes:
      rate: probability that a value is dropped, in [0, 1); those kept are divided by 1 - rate.
      deterministic: whether to drop nothing.
      broadcast_dims: axes, not the first, along which all or none is dropped.
    """

    rate: float
    deterministic: bool
    broadcast_dims: Sequence[int] = ()

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Drops values of `x`, whose first axis is the batch, or begins with it."""
        if self.rate == 0 or self.deterministic:
            return x
        key, keep = self.make_rng("dropout"), 1 - self.rate
        shape = tuple(1 if i in self.broadcast_dims else n for i, n in enumerate(x.shape))
        kept = drawn_for_clips(lambda shape: jax.random.bernoulli(key, keep, shape), shape)
        return jnp.where(kept, x / keep, 0)


def stochastic_depth(rate: float, train: bool, ndim: int = 4) -> Dropout:
    """Makes a module that drops a residual branch (N, ...) for whole samples, while training.

    Kept samples are divided by 1 - rate, so the mean is unchanged. To be called in a compact
    method, of which it is a part; draws from the "dropout" key.

    Args:
      rate: probability that a sample's branch is dropped, in [0, 1).
      train: whether to drop at all.
      ndim: axes of the branch.
    """
    return Dropout(rate, broadcast_dims=range(1, ndim), deterministic=not train)
