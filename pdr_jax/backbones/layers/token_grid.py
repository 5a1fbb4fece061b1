"""Grids of tokens: made of frames, made coarser and finer, and made frames again; any size."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from einops import rearrange
from flax import linen as nn
from jax import Array
from jax.typing import DTypeLike

from pdr_jax.backbones.layers.conv import Conv
from pdr_jax.backbones.layers.initializers import he_fan_out_leaky, lecun_normal
from pdr_jax.backbones.layers.linear import Linear
from pdr_jax.backbones.layers.norm import group_norm, layer_norm

Sides = tuple[int, ...]  # (rows, columns)

SLOPE = 0.1  # of the leaky ReLUs


class Stage(NamedTuple):
    """A step from frames to tokens, and the step back.

    Attributes:
      width: channels.
      scale: rows and columns of pixels, or of tokens, that become one.
      down: convolutions before the merge.
      up: convolutions on the way back.
      groups: of the convolutions' normalisation.
    """

    width: int
    scale: Sides
    down: int
    up: int
    groups: int


class Convs(nn.Module):
    """`depth` times 3x3 convolution, GroupNorm, leaky ReLU, frame by frame."""

    width: int
    depth: int
    groups: int
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps (B, T, H, W, C) to (B, T, H, W, width)."""
        frames = x.reshape(-1, *x.shape[2:])
        for i in range(self.depth):
            frames = Conv(self.width, 3, dtype=self.dtype, name=f"conv_{i}")(frames)
            frames = group_norm(self.groups, dtype=self.dtype, name=f"norm_{i}")(frames)
            frames = jax.nn.leaky_relu(frames, SLOPE)
        return frames.reshape(*x.shape[:2], *frames.shape[1:])


class Tokenizer(nn.Module):
    """Frames to tokens: in each stage convolutions, then patches merge to one token.

    Attributes:
      stages: from frames to tokens.
      numbered: whether the names of a stage's parts end with its number.
      dtype: compute dtype.
    """

    stages: tuple[Stage, ...]
    numbered: bool
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps (B, T, H, W, C) to (B, T, H', W', C')."""
        for i, (width, scale, depth, _, groups) in enumerate(self.stages):
            number = f"_{i}" if self.numbered else ""
            x = Convs(width, depth, groups, self.dtype, name=f"convs{number}")(x)
            x = Merge(width, scale, self.dtype, name=f"merge{number}")(x)
        return x


class Painter(nn.Module):
    """Tokens to frames: the tokenizer's stages in reverse, with interpolation for merging.

    Attributes:
      stages: from frames to tokens.
      numbered: whether the names of a stage's parts end with its number, in this order.
      size: rows and columns of the frames.
      dtype: compute dtype.
    """

    stages: tuple[Stage, ...]
    numbered: bool
    size: Sides
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps (B, T, H', W', C') to (B, T, H, W, C), with the first stage's channels."""
        sizes = [self.size]
        for stage in self.stages[:-1]:
            sizes.append(coarser(sizes[-1], stage.scale))
        for i, (width, _, _, depth, groups) in enumerate(reversed(self.stages)):
            number = f"_{i}" if self.numbered else ""
            x = Enlarge(x.shape[-1], sizes.pop(), self.dtype, name=f"enlarge{number}")(x)
            x = Convs(width, depth, groups, self.dtype, name=f"convs{number}")(x)
        return x


class Merge(nn.Module):
    """Tokens of a p x q patch to one: LayerNorm over all their channels, then linear.

    Attributes:
      width: channels afterwards.
      scale: p and q; zeros fill the last row and column of patches up.
      dtype: compute dtype.
    """

    width: int
    scale: Sides
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps (B, T, H, W, C) to (B, T, H / p, W / q, width), rounded up."""
        p, q = self.scale
        bottom, right = -x.shape[2] % p, -x.shape[3] % q
        x = jnp.pad(x, ((0, 0), (0, 0), (0, bottom), (0, right), (0, 0)))
        x = rearrange(x, "b t (h p) (w q) c -> b t h w (p q c)", p=p, q=q)
        x = layer_norm(dtype=self.dtype, name="norm")(x)
        return Linear(self.width, False, lecun_normal, self.dtype, name="linear")(x)


class Enlarge(nn.Module):
    """Nearest-neighbour interpolation of each frame to a size, then a 3x3 convolution.

    Attributes:
      width: channels afterwards.
      size: rows and columns afterwards.
      dtype: compute dtype.
    """

    width: int
    size: Sides
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps (B, T, h, w, C) to (B, T, H, W, width), (H, W) being `size`."""
        frames = x.reshape(-1, *x.shape[2:])
        for axis, size in enumerate(self.size, start=1):
            frames = nearest(frames, axis, size)
        conv = Conv(self.width, 3, initializer=he_fan_out_leaky, dtype=self.dtype, name="conv")
        return conv(frames).reshape(*x.shape[:2], *self.size, self.width)


def nearest(x: Array, axis: int, size: int) -> Array:
    """An axis resampled to `size`: element i is the old element i * old / size, rounded down."""
    old = x.shape[axis]
    if size % old == 0:  # no gather, whose gradient is slow
        return jnp.repeat(x, size // old, axis)
    return jnp.take(x, np.arange(size) * old // size, axis)


def coarser(size: Sides, scale: Sides) -> Sides:
    """Rows and columns after patches of `scale` have merged, rounded up."""
    return tuple(-(-n // side) for n, side in zip(size, scale, strict=True))
