"""MogaNet: gated aggregation of contexts of three sizes, and of channels."""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jax.typing import DTypeLike

from pdr_jax.backbones.base import Card
from pdr_jax.backbones.layers.conv import Conv
from pdr_jax.backbones.layers.dropout import Dropout, stochastic_depth
from pdr_jax.backbones.layers.gelu import gelu
from pdr_jax.backbones.layers.initializers import he_fan_out
from pdr_jax.backbones.layers.layer_scale import layer_scale
from pdr_jax.backbones.layers.norm import BatchNorm
from pdr_jax.backbones.metaformer import Block
from pdr_jax.backbones.simvp_shell import SimVPShell

WIDTH_UNIT = 8
LAYER_SCALE = 1e-5


class MultiOrderConv(nn.Module):
    """Depthwise convolutions whose channels see 5x5 (1/8 of them), 13x13 (3/8) and 23x23 (1/2).

    5x5 for all ("near"); then another 5x5 with dilation 2 ("middle") for 3/8, a 7x7 with dilation
    3 ("far") for 1/2.
    """

    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps `x` (N, H, W, d) to the same shape; d is a multiple of 8."""
        d = x.shape[-1]
        conv = functools.partial(Conv, initializer=he_fan_out, dtype=self.dtype)
        x = conv(d, 5, groups=d, name="near")(x)
        near, middle, far = jnp.split(x, [d // 8, d // 2], axis=-1)
        middle = conv(3 * d // 8, 5, groups=3 * d // 8, dilation=2, name="middle")(middle)
        far = conv(d // 2, 7, groups=d // 2, dilation=3, name="far")(far)
        return jnp.concatenate([near, middle, far], axis=-1)


class GatedAggregation(nn.Module):
    """x + project(silu(gate) silu(value)), both of the projected and contrasted x.

    Contrasting adds sigma (y - its mean over the frame) to y, sigma being learned per channel.
    """

    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Aggregates `x` (N, H, W, C)."""
        conv = functools.partial(Conv, x.shape[-1], initializer=he_fan_out, dtype=self.dtype)
        y = conv(name="proj_in")(x)
        deviation = y - y.mean(axis=(1, 2), keepdims=True)
        y = jax.nn.silu(y + layer_scale(self, "sigma", deviation, LAYER_SCALE))
        gate = conv(name="gate")(y)
        value = conv(name="mix")(MultiOrderConv(self.dtype, name="value")(y))
        return x + conv(name="proj_out")(jax.nn.silu(gate) * jax.nn.silu(value))


class ChannelAggregation(nn.Module):
    """1x1 convolution to `ratio` times the width, depthwise 3x3, GELU, contrast, 1x1 back.

    Contrasting adds sigma (y - gelu(a learned mean of y's channels)) to y, sigma being learned per
    channel. Dropout before the contrast and at the end.
    """

    ratio: float
    drop: float
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Mixes channels and near pixels of `x` (N, H, W, C)."""
        width = x.shape[-1]
        hidden = int(width * self.ratio)
        conv = functools.partial(Conv, initializer=he_fan_out, dtype=self.dtype)
        dropout = Dropout(self.drop, deterministic=not train)
        y = conv(hidden, name="expand")(x)
        y = dropout(gelu(conv(hidden, 3, groups=hidden, name="depthwise")(y)))
        deviation = y - gelu(conv(1, name="decompose")(y))
        y = y + layer_scale(self, "sigma", deviation, LAYER_SCALE)
        return dropout(conv(width, name="contract")(y))


class MogaBlock(nn.Module):
    """x + s1 GatedAggregation(BN x), then x + s2 ChannelAggregation(BN x), with drop path on both.

    s1 and s2 are learned per channel and start at 1e-5.

    Attributes:
      mlp_ratio: inner width of the channel aggregation over the block's width.
      drop: dropout within it.
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
        drop_path = stochastic_depth(self.drop_path, train)
        aggregation = GatedAggregation(self.dtype, name="attention")
        mlp = ChannelAggregation(self.mlp_ratio, self.drop, self.dtype, name="mlp")

        y = aggregation(BatchNorm(dtype=self.dtype, name="norm_1")(x, train))
        x = x + drop_path(layer_scale(self, "scale_1", y, LAYER_SCALE))
        y = mlp(BatchNorm(dtype=self.dtype, name="norm_2")(x, train), train)
        return x + drop_path(layer_scale(self, "scale_2", y, LAYER_SCALE))


class MogaNet(SimVPShell):
    """SimVP's encoder and decoder with a MogaNet between them."""

    card = Card(
        title="MogaNet: Multi-order Gated Aggregation Network",
        venue="ICLR 2024",
        link="https://arxiv.org/abs/2211.03295",
        source="OpenSTL c74deb5d, model_type Moga",
        faithful="Stochastic depth starts at 0.01 in the first block even where drop_path is 0. "
        "The published Human3.6M model has hid_T = 256 and N_T = 6.",
    )

    def make_blocks(self) -> list[Block]:
        """N_T MogaNet blocks."""
        return [
            functools.partial(MogaBlock, self.mlp_ratio, self.drop, rate, self.dtype)
            for rate in self.drop_path_rates()
        ]

    def check(self) -> None:
        """Refuses widths that cannot be split 1 : 3 : 4."""
        super().check()
        self.check_widths(WIDTH_UNIT, "simvp_moga splits its channels 1 : 3 : 4")
