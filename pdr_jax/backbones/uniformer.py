"""UniFormer: Unifying Convolution and Self-attention for Visual Recognition (TPAMI 2023).

The local block is a transformer's with a depthwise convolution in place of attention; the global
block has attention. Both begin with a depthwise convolution, which encodes positions.
"""

import functools

from flax import linen as nn
from jax import Array
from jax.typing import DTypeLike

from pdr_jax.backbones.base import Card
from pdr_jax.backbones.checks import divisible
from pdr_jax.backbones.layers.conv import Conv
from pdr_jax.backbones.layers.dropout import Dropout, stochastic_depth
from pdr_jax.backbones.layers.gelu import gelu
from pdr_jax.backbones.layers.initializers import he_fan_out
from pdr_jax.backbones.layers.norm import BatchNorm
from pdr_jax.backbones.layers.transformer_block import TransformerBlock
from pdr_jax.backbones.metaformer import Block
from pdr_jax.backbones.simvp_shell import SimVPShell

HEADS = 8
LAYER_SCALE = 1e-6


class LocalBlock(nn.Module):
    """x + position(x), then x + mix(BN x), then x + MLP(BN x), with drop path on the last two.

    position is a depthwise 3x3 convolution, mix a depthwise 5x5 one between 1x1 ones; the MLP is
    of 1x1 convolutions.

    Attributes:
      mlp_ratio: width of the MLP over the block's width.
      drop: dropout within the MLP.
      drop_path: stochastic depth of both branches.
      dtype: compute dtype.
    """

    mlp_ratio: float
    drop: float
    drop_path: float
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Transforms `x` (N, H, W, C) to the same shape."""
        width = x.shape[-1]
        drop_path = stochastic_depth(self.drop_path, train)
        dropout = Dropout(self.drop, deterministic=not train)

        x = x + self._depthwise("position", x, 3)
        y = BatchNorm(dtype=self.dtype, name="norm_1")(x, train)
        y = self._depthwise("mix", self._pointwise("proj_in", y, width), 5)
        x = x + drop_path(self._pointwise("proj_out", y, width))
        y = BatchNorm(dtype=self.dtype, name="norm_2")(x, train)
        y = dropout(gelu(self._pointwise("expand", y, int(width * self.mlp_ratio))))
        y = dropout(self._pointwise("contract", y, width))
        return x + drop_path(y)

    def _depthwise(self, name: str, x: Array, side: int) -> Array:
        width = x.shape[-1]
        conv = Conv(width, side, groups=width, initializer=he_fan_out, dtype=self.dtype, name=name)
        return conv(x)

    def _pointwise(self, name: str, x: Array, features: int) -> Array:
        return Conv(features, initializer=he_fan_out, dtype=self.dtype, name=name)(x)


class GlobalBlock(nn.Module):
    """x + position(x), a depthwise 3x3 convolution, then a transformer's block over all pixels.

    Attributes:
      mlp_ratio: width of the MLP over the block's width.
      drop: dropout after the attention and within the MLP.
      drop_path: stochastic depth of both branches of the transformer's block.
      dtype: compute dtype.
    """

    mlp_ratio: float
    drop: float
    drop_path: float
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Transforms `x` (N, H, W, C) to the same shape."""
        width = x.shape[-1]
        x = x + Conv(width, 3, groups=width, dtype=self.dtype, name="position")(x)
        transformer = TransformerBlock(
            HEADS,
            self.mlp_ratio,
            self.drop,
            self.drop_path,
            LAYER_SCALE,
            self.dtype,
            name="transformer",
        )
        return transformer(x, train)


class UniFormer(SimVPShell):
    """SimVP's encoder and decoder with a UniFormer between them."""

    card = Card(
        title="UniFormer: Unifying Convolution and Self-attention for Visual Recognition",
        venue="TPAMI 2023",
        link="https://arxiv.org/abs/2201.09450",
        source="OpenSTL c74deb5d, model_type Uniformer",
        faithful="Stochastic depth starts at 0.01 in the first block even where drop_path is 0. "
        "The published KTH model has N_T = 4, the Human3.6M model N_T = 6.",
    )

    def make_blocks(self) -> list[Block]:
        """N_T UniFormer blocks: the first local, the last as well unless T * hid_S is hid_T."""
        local = {0} if self.in_shape[0] * self.hid_S == self.hid_T else {0, self.N_T - 1}
        return [
            functools.partial(
                LocalBlock if number in local else GlobalBlock,
                self.mlp_ratio,
                self.drop,
                rate,
                self.dtype,
            )
            for number, rate in enumerate(self.drop_path_rates())
        ]

    def check(self) -> None:
        """Refuses a width that the global blocks' heads cannot share."""
        super().check()
        divisible("hid_T", self.hid_T, HEADS, "the number of simvp_uniformer's heads")
