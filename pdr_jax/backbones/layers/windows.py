"""The Swin Transformer's block: self-attention within windows of a grid, shifted in every second.

Swin Transformer: Hierarchical Vision Transformer using Shifted Windows (ICCV 2021).
"""

import functools
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from einops import rearrange
from flax import linen as nn
from jax import Array
from jax.typing import DTypeLike

from pdr_jax.backbones.layers.attention import SelfAttention
from pdr_jax.backbones.layers.drop_path import DropPath
from pdr_jax.backbones.layers.initializers import LayerInit, trunc_normal_002
from pdr_jax.backbones.layers.linear import Linear
from pdr_jax.backbones.layers.mlp import Mlp

# Added to the scores of pixels that must not see each other; exp(-100) is nothing in float32.
MASKED = -100.0


class Windowing(NamedTuple):
    """How a grid is cut: the side of the square windows, and the shift of their corners."""

    side: int
    shift: int


def windowing(height: int, width: int, side: int, shifted: bool) -> Windowing:
    """The windows of a height x width grid: not larger than it, and not shifted if they fill it.

    Both height and width must be divisible by the side that results.
    """
    if min(height, width) <= side:
        return Windowing(min(height, width), 0)
    return Windowing(side, side // 2 if shifted else 0)


def partition(x: Array, side: int) -> Array:
    """(N, H, W, C) -> (N, windows, side * side, C), windows and pixels row by row."""
    return rearrange(x, "n (h p) (w q) c -> n (h w) (p q) c", p=side, q=side)


def merge(x: Array, side: int, height: int) -> Array:
    """The inverse: (N, windows, side * side, C) -> (N, height, W, C)."""
    return rearrange(x, "n (h w) (p q) c -> n (h p) (w q) c", p=side, h=height // side)


def relative_positions(side: int) -> np.ndarray:
    """(L, L) int, L = side^2: the number, of (2 side - 1)^2, of the offset between two pixels."""
    row, column = np.divmod(np.arange(side * side), side)
    rows, columns = np.subtract.outer(row, row), np.subtract.outer(column, column)
    return (rows + side - 1) * (2 * side - 1) + columns + side - 1


def shift_mask(height: int, width: int, windows: Windowing) -> np.ndarray:
    """(windows, L, L) float32: `MASKED` for pixels that only the cyclic shift made neighbours."""

    def band(size: int) -> np.ndarray:  # 0, or 1 and 2 on the two sides of the last window's seam
        return np.digitize(np.arange(size), (size - windows.side, size - windows.shift))

    region = np.add.outer(3 * band(height), band(width)).reshape(1, height, width, 1)
    region = partition(region, windows.side)[0, :, :, 0]
    apart = region[:, :, None] != region[:, None, :]
    return np.where(apart, np.float32(MASKED), np.float32(0))


class WindowAttention(nn.Module):
    """Self-attention within windows, with a learned bias for every relative position.

    Attributes:
      heads: number of heads.
      window: side of the windows, see `windowing`.
      shifted: whether the windows are shifted by half their side, cyclically.
      masked: whether pixels from opposite borders, which the shift brings into one window, are
        kept from seeing each other.
      drop: dropout after the last linear layer.
      initializer: initial values of the linear layers.
      dtype: compute dtype.
    """

    heads: int
    window: int
    shifted: bool = False
    masked: bool = True
    drop: float = 0.0
    initializer: LayerInit = trunc_normal_002
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Attends over `x` (N, H, W, C)."""
        _, height, width, _ = x.shape
        side, shift = windows = windowing(height, width, self.window, self.shifted)
        offsets = (2 * side - 1) ** 2
        table = self.param(
            "relative_position_bias", nn.initializers.normal(0.02), (offsets, self.heads)
        )
        bias = rearrange(table[relative_positions(side)], "q k heads -> 1 heads q k")
        if shift and self.masked:
            bias = bias + shift_mask(height, width, windows)[:, None]
        attention = SelfAttention(
            self.heads,
            drop=self.drop,
            initializer=self.initializer,
            dtype=self.dtype,
            name="attention",
        )
        x = partition(jnp.roll(x, (-shift, -shift), (1, 2)), side)
        x = merge(attention(x, train, bias), side, height)
        return jnp.roll(x, (shift, shift), (1, 2))


class SwinBlock(nn.Module):
    """x + WindowAttention(LN x), then x + Mlp(LN x), with drop path on both branches.

    Given a hidden state, the attention sees a linear layer's reduction of LN x and LN hidden to
    the width of one (SwinLSTM's block). Without one there is no such layer.

    Attributes:
      heads: number of heads.
      window: side of the windows.
      shifted: whether they are shifted.
      masked: whether the attention in shifted windows is masked.
      mlp_ratio: width of the MLP over the block's width.
      drop: dropout after the attention and within the MLP.
      drop_path: stochastic depth of both branches.
      initializer: initial values of all linear layers.
      dtype: compute dtype.
    """

    heads: int
    window: int
    shifted: bool = False
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
        drop_path = DropPath(self.drop_path)
        norm = functools.partial(
            nn.LayerNorm, epsilon=1e-5, use_fast_variance=False, dtype=self.dtype
        )
        norm_1 = norm(name="norm_1")
        y = norm_1(x)
        if hidden is not None:
            y = jnp.concatenate([y, norm_1(hidden)], axis=-1)
            y = Linear(width, initializer=self.initializer, dtype=self.dtype, name="reduce")(y)
        y = WindowAttention(
            self.heads,
            self.window,
            self.shifted,
            self.masked,
            self.drop,
            self.initializer,
            self.dtype,
            name="attention",
        )(y, train)
        x = x + drop_path(y, train)
        y = Mlp(int(width * self.mlp_ratio), self.drop, self.initializer, self.dtype, name="mlp")(
            norm(name="norm_2")(x), train
        )
        return x + drop_path(y, train)
