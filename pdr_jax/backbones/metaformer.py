"""The MetaFormer translator: a stack of residual blocks between the encoder and the decoder."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from flax import linen as nn
from jax import Array
from jax.typing import DTypeLike

from pdr_jax.backbones.layers.conv import Conv

# block(place, mlp_ratio=, drop=, drop_path=, dtype=, name=) -> a module called as module(x, train).
Block = Callable[..., nn.Module]


class Place(NamedTuple):
    """Where in the translator a block stands: its number, and whether a 1x1 convolution follows."""

    number: int
    reduced: bool


def drop_path_rates(drop_path: float, depth: int) -> list[float]:
    """Stochastic depth of each block: linear from 0.01 (sic) in the first to `drop_path`.

    So drop_path=0 does not turn stochastic depth off in the first blocks; the published models
    were trained like that.
    """
    return [float(rate) for rate in np.linspace(0.01, drop_path, depth)]


class MetaFormer(nn.Module):
    """`depth` blocks: the first at the input's width, the others at width `hidden`.

    A 1x1 convolution follows the first and the last block where the width changes; the output has
    the input's width (SimVP: Towards Simple yet Powerful Spatiotemporal Predictive Learning).

    Attributes:
      block: makes one residual block, see `Block`.
      hidden: width of the middle blocks.
      depth: number of blocks, at least 2.
      mlp_ratio: width of a block's MLP over its own width.
      drop: dropout within the MLPs.
      drop_path: stochastic depth of the last block, see `drop_path_rates`.
      dtype: compute dtype.
    """

    block: Block
    hidden: int
    depth: int
    mlp_ratio: float = 8.0
    drop: float = 0.0
    drop_path: float = 0.0
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Translates `x` (N, H, W, C) to the same shape."""
        channels = x.shape[-1]
        for i, rate in enumerate(drop_path_rates(self.drop_path, self.depth)):
            width = self.hidden if i < self.depth - 1 else channels
            reduced = x.shape[-1] != width
            x = self.block(
                Place(i, reduced),
                mlp_ratio=self.mlp_ratio,
                drop=self.drop,
                drop_path=rate,
                dtype=self.dtype,
                name=f"block_{i}",
            )(x, train)
            if reduced:
                x = Conv(width, dtype=self.dtype, name=f"reduction_{i}")(x)
        return x
