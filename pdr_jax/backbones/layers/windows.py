"""The Swin Transformer's block: self-attention within windows of a grid, shifted in every second.

Swin Transformer: Hierarchical Vision Transformer using Shifted Windows (ICCV 2021).
"""

import functools

import jax.numpy as jnp
import numpy as np
from einops import rearrange
from flax import linen as nn
from jax import Array
from jax.typing import DTypeLike

from pdr_jax.backbones.layers.attention import SelfAttention
from pdr_jax.backbones.layers.cuboids import (
    Cuboid,
    cut,
    join,
    offsets,
    relative_index,
    shift_mask,
)
from pdr_jax.backbones.layers.dropout import stochastic_depth
from pdr_jax.backbones.layers.initializers import LayerInit, trunc_normal_002
from pdr_jax.backbones.layers.linear import Linear
from pdr_jax.backbones.layers.mlp import Mlp
from pdr_jax.backbones.layers.norm import layer_norm

# Added to the scores of pixels that must not see each other; exp(-100) is nothing in float32.
MASKED = -100.0


def windowing(
    height: int, width: int, side: int, *, shifted: bool, faithful: bool = False
) -> Cuboid:
    """The square windows of a height x width grid, as cuboids of one frame.

    Args:
      height: rows of the grid.
      width: its columns.
      side: of the windows; the grid's shorter side where that is less. It must divide both.
      shifted: whether the windows are moved by half their side, cyclically. Along an axis that one
        window spans they are not.
      faithful: as in timm: where one window spans one axis, do not move them along the other.
    """
    side = min(side, height, width)
    shift = side // 2 if shifted else 0
    windows = Cuboid((1, side, side), (0, shift, shift)).within((1, height, width))
    if faithful and not all(windows.shift[1:]):
        return Cuboid(windows.size)
    return windows


def added_mask(windows: Cuboid, height: int, width: int) -> np.ndarray | None:
    """(windows, L, L) float32: `MASKED` for pixels that only the cyclic shift made neighbours.

    None where nothing is shifted.
    """
    near = shift_mask(windows, (1, height, width))
    return None if near is None else np.where(near, np.float32(0), np.float32(MASKED))


class WindowAttention(nn.Module):
    """Self-attention within windows, with a learned bias for every relative position.

    Attributes:
      heads: number of heads.
      windows: see `windowing`.
      masked: whether pixels from opposite borders, which the shift brings into one window, are
        kept from seeing each other.
      drop: dropout after the last linear layer.
      initializer: initial values of the linear layers.
      dtype: compute dtype.
    """

    heads: int
    windows: Cuboid
    masked: bool = True
    drop: float = 0.0
    initializer: LayerInit = trunc_normal_002
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Attends over `x` (N, H, W, C)."""
        _, height, width, _ = x.shape
        size = self.windows.size
        table = self.param(
            "relative_position_bias", nn.initializers.normal(0.02), (offsets(size), self.heads)
        )
        bias = rearrange(table[relative_index(size)], "q k heads -> 1 heads q k")
        mask = added_mask(self.windows, height, width)
        if mask is not None and self.masked:
            bias = bias + mask[:, None]
        attention = SelfAttention(
            self.heads,
            drop=self.drop,
            initializer=self.initializer,
            dtype=self.dtype,
            name="attention",
        )
        tokens = attention(cut(x[:, None], self.windows), train, bias)
        return join(tokens, self.windows, (1, height, width))[:, 0]


class SwinBlock(nn.Module):
    """x + WindowAttention(LN x), then x + Mlp(LN x), with drop path on both branches.

    Given a hidden state, the attention sees a linear layer's reduction of LN x and LN hidden to
    the width of one (SwinLSTM's block). Without one there is no such layer.

    Attributes:
      heads: number of heads.
      windows: see `windowing`.
      masked: whether the attention in shifted windows is masked.
      mlp_ratio: width of the MLP over the block's width.
      drop: dropout after the attention and within the MLP.
      drop_path: stochastic depth of both branches.
      initializer: initial values of all linear layers.
      dtype: compute dtype.
    """

    heads: int
    windows: Cuboid
    masked: bool = True
    mlp_ratio: float = 4.0
    drop: float = 0.0
    drop_path: float = 0.0
    initializer: LayerInit = trunc_normal_002
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array, train: bool, hidden: Array | None = None) -> Array:
        """Transforms `x` (N, H, W, C), and `hidden` of the same shape, to one of that shape."""
        width = x.shape[-1]
        drop_path = stochastic_depth(self.drop_path, train)
        norm = functools.partial(layer_norm, dtype=self.dtype)
        norm_1 = norm(name="norm_1")
        y = norm_1(x)
        if hidden is not None:
            y = jnp.concatenate([y, norm_1(hidden)], axis=-1)
            y = Linear(width, initializer=self.initializer, dtype=self.dtype, name="reduce")(y)
        y = WindowAttention(
            self.heads,
            self.windows,
            self.masked,
            self.drop,
            self.initializer,
            self.dtype,
            name="attention",
        )(y, train)
        x = x + drop_path(y)
        y = Mlp(int(width * self.mlp_ratio), self.drop, self.initializer, self.dtype, name="mlp")(
            norm(name="norm_2")(x), train
        )
        return x + drop_path(y)
