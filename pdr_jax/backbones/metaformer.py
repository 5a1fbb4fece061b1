"""The MetaFormer translator: a stack of residual blocks between the encoder and the decoder."""

from collections.abc import Callable

from flax import linen as nn
from jax import Array
from jax.typing import DTypeLike

from pdr_jax.backbones.layers.conv import Conv
from pdr_jax.backbones.layers.remat import recompute

# block(name=) -> a module called as module(x, train), from (N, H, W, C) to the same shape.
Block = Callable[..., nn.Module]


class MetaFormer(nn.Module):
    """Residual blocks: the first at the input's width, the others at width `hidden`.

    A 1x1 convolution follows the first and the last block where the width changes; the output has
    the input's width (SimVP: Towards Simple yet Powerful Spatiotemporal Predictive Learning).

    Attributes:
      blocks: what makes each block, see `Block`; at least 2.
      hidden: width of the middle blocks.
      dtype: compute dtype.
      remat: whether the blocks are computed again for their gradient.
    """

    blocks: tuple[Block, ...]
    hidden: int
    dtype: DTypeLike | None = None
    remat: bool = False

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Translates `x` (N, H, W, C) to the same shape."""
        channels = x.shape[-1]
        for i, block in enumerate(self.blocks):
            x = recompute(block(name=f"block_{i}"), x, train=train, when=self.remat)
            width = self.hidden if i < len(self.blocks) - 1 else channels
            if x.shape[-1] != width:
                x = Conv(width, dtype=self.dtype, name=f"reduction_{i}")(x)
        return x
