"""Stochastic depth."""

import jax
from flax import linen as nn
from jax import Array


class DropPath(nn.Module):
    """Zeroes a residual branch for whole samples, with probability `rate`, while training.

    Kept samples are divided by 1 - rate, so that the mean is unchanged. Identity in evaluation.

    Attributes:
      rate: probability of dropping, in [0, 1).
    """

    rate: float

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Drops samples of `x` (N, ...); draws from the "dropout" key."""
        if not train or self.rate == 0:
            return x
        shape = (x.shape[0],) + (1,) * (x.ndim - 1)
        keep = jax.random.bernoulli(self.make_rng("dropout"), 1 - self.rate, shape)
        return x * (keep / (1 - self.rate)).astype(x.dtype)
