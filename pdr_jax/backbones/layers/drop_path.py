"""Stochastic depth."""

from flax import linen as nn


def stochastic_depth(rate: float, train: bool, ndim: int = 4) -> nn.Dropout:
    """Makes a module that drops a residual branch (N, ...) for whole samples, while training.

    Kept samples are divided by 1 - rate, so the mean is unchanged. To be called in a compact
    method, of which it is a part; draws from the "dropout" key.

    Args:
      rate: probability that a sample's branch is dropped, in [0, 1).
      train: whether to drop at all.
      ndim: axes of the branch.
    """
    return nn.Dropout(rate, broadcast_dims=range(1, ndim), deterministic=not train)
