"""The residual block that gSTA, TAU and VAN share; they differ in the attention's gate."""

from collections.abc import Callable

from flax import linen as nn
from jax import Array
from jax.typing import DTypeLike

from pdr_jax.backbones.layers.conv import Conv
from pdr_jax.backbones.layers.dropout import Dropout, stochastic_depth
from pdr_jax.backbones.layers.gelu import gelu
from pdr_jax.backbones.layers.initializers import LayerInit, he_fan_out
from pdr_jax.backbones.layers.layer_scale import layer_scale
from pdr_jax.backbones.layers.norm import BatchNorm

# gate(initializer=, dtype=, name=) -> a module from (N, H, W, C) to the same shape.
Gate = Callable[..., nn.Module]

LAYER_SCALE = 0.01


def large_kernel(x: Array, initializer: LayerInit, dtype: DTypeLike | None) -> Array:
    """A 21x21 depthwise convolution, decomposed: 5x5 ("near"), then 7x7 with dilation 3 ("far").

    To be called in a module's compact method, which then has the two as its own.
    """
    d = x.shape[-1]
    x = Conv(d, 5, groups=d, initializer=initializer, dtype=dtype, name="near")(x)
    return Conv(d, 7, groups=d, dilation=3, initializer=initializer, dtype=dtype, name="far")(x)


class SpatialAttention(nn.Module):
    """x + project(gate(gelu(project(x)))), projections being 1x1 convolutions."""

    gate: Gate
    initializer: LayerInit
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Attends over `x` (N, H, W, C)."""
        width = x.shape[-1]
        y = gelu(Conv(width, initializer=self.initializer, dtype=self.dtype, name="proj_in")(x))
        y = self.gate(initializer=self.initializer, dtype=self.dtype, name="gate")(y)
        return x + Conv(width, initializer=self.initializer, dtype=self.dtype, name="proj_out")(y)


class MixMlp(nn.Module):
    """1x1 convolution to `ratio` times the width, depthwise 3x3, GELU, 1x1 back; with dropout."""

    ratio: float
    drop: float
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Mixes channels and near pixels of `x` (N, H, W, C)."""
        width = x.shape[-1]
        hidden = int(width * self.ratio)
        dropout = Dropout(self.drop, deterministic=not train)
        y = Conv(hidden, initializer=he_fan_out, dtype=self.dtype, name="expand")(x)
        y = Conv(
            hidden, 3, groups=hidden, initializer=he_fan_out, dtype=self.dtype, name="depthwise"
        )(y)
        y = dropout(gelu(y))
        return dropout(Conv(width, initializer=he_fan_out, dtype=self.dtype, name="contract")(y))


class GatedAttentionBlock(nn.Module):
    """x + s1 SpatialAttention(BN x), then x + s2 MixMlp(BN x), with drop path on both branches.

    s1 and s2 are learned per channel and start at 0.01.

    Attributes:
      gate: makes the attention's gate.
      mlp_ratio: width of the MLP over the block's width.
      drop: dropout within the MLP.
      drop_path: stochastic depth of both branches.
      attention_initializer: initial values of the attention's convolutions.
      dtype: compute dtype.
    """

    gate: Gate
    mlp_ratio: float
    drop: float
    drop_path: float
    attention_initializer: LayerInit = he_fan_out
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Transforms `x` (N, H, W, C) to the same shape."""
        drop_path = stochastic_depth(self.drop_path, train)
        attention = SpatialAttention(
            self.gate, self.attention_initializer, self.dtype, name="attention"
        )
        mlp = MixMlp(self.mlp_ratio, self.drop, self.dtype, name="mlp")

        y = attention(BatchNorm(dtype=self.dtype, name="norm_1")(x, train))
        x = x + drop_path(layer_scale(self, "scale_1", y, LAYER_SCALE))
        y = mlp(BatchNorm(dtype=self.dtype, name="norm_2")(x, train), train)
        return x + drop_path(layer_scale(self, "scale_2", y, LAYER_SCALE))
