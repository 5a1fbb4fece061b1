"""ConvNeXt: a residual network's block, modernised until it looks like a transformer's."""

import functools

from flax import linen as nn
from jax import Array
from jax.typing import DTypeLike

from pdr_jax.backbones.base import Card
from pdr_jax.backbones.layers.conv import Conv
from pdr_jax.backbones.layers.dropout import stochastic_depth
from pdr_jax.backbones.layers.initializers import he_fan_out
from pdr_jax.backbones.layers.layer_scale import layer_scale
from pdr_jax.backbones.layers.mlp import Mlp
from pdr_jax.backbones.layers.norm import layer_norm
from pdr_jax.backbones.metaformer import Block
from pdr_jax.backbones.simvp_shell import SimVPShell


class ConvNeXtBlock(nn.Module):
    """x + s MLP(LN(depthwise 7x7 (x))) with drop path; s is learned and starts at 1e-6.

    Attributes:
      mlp_ratio: width of the MLP over the block's width.
      drop_path: stochastic depth.
      dtype: compute dtype.
    """

    mlp_ratio: float
    drop_path: float
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Transforms `x` (N, H, W, C) to the same shape."""
        d = x.shape[-1]
        y = Conv(d, 7, groups=d, initializer=he_fan_out, dtype=self.dtype, name="depthwise")(x)
        y = layer_norm(epsilon=1e-6, dtype=self.dtype, name="norm")(y)
        hidden = int(d * self.mlp_ratio)
        y = Mlp(hidden, initializer=he_fan_out, dtype=self.dtype, name="mlp")(y, train)
        y = layer_scale(self, "layer_scale", y, 1e-6)
        return x + stochastic_depth(self.drop_path, train)(y)


class ConvNeXt(SimVPShell):
    """SimVP with a ConvNeXt translator; drop has no effect there."""

    card = Card(
        title="A ConvNet for the 2020s",
        venue="CVPR 2022",
        link="https://arxiv.org/abs/2201.03545",
        source="OpenSTL c74deb5d, model_type ConvNeXt",
        faithful="Dropout is never applied. Stochastic depth starts at 0.01 in the first block "
        "even where drop_path is 0.",
    )

    def make_blocks(self) -> list[Block]:
        """N_T ConvNeXt blocks."""
        return [
            functools.partial(ConvNeXtBlock, self.mlp_ratio, rate, self.dtype)
            for rate in self.drop_path_rates()
        ]
