"""From frames to a grid of patches and back, and from one grid to the next coarser or finer."""

import functools
import math

import jax
from einops import rearrange
from flax import linen as nn
from flax.linen.dtypes import promote_dtype
from jax import Array
from jax.typing import DTypeLike

from pdr_jax.backbones.layers.conv_transpose import enlarging
from pdr_jax.backbones.layers.initializers import pytorch_default
from pdr_jax.backbones.layers.linear import Linear
from pdr_jax.backbones.layers.norm import group_norm, layer_norm
from pdr_jax.backbones.layers.patches import patchify, unpatchify
from pdr_jax.backbones.layers.per_channel import add_bias

GROUPS = 16  # of the norms between an inflation's convolutions


class PatchEmbed(nn.Module):
    """A linear layer on every patch of pixels, and a norm: (B, H, W, C) -> (B, H/p, W/p, features).

    Its parameter `kernel` is the equivalent convolution's, (p, p, C, features).

    Attributes:
      features: channels of the grid.
      size: side p of the patches.
      dtype: compute dtype.
    """

    features: int
    size: int
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Embeds frames."""
        shape = (self.size, self.size, x.shape[-1], self.features)
        kernel_init, bias_init = pytorch_default(math.prod(shape[:3]), self.features)
        kernel = self.param("kernel", kernel_init, shape)
        bias = self.param("bias", bias_init, (self.features,))
        x, kernel = promote_dtype(x, kernel, dtype=self.dtype)
        x = add_bias(patchify(x, self.size) @ kernel.reshape(-1, self.features), bias)
        return layer_norm(dtype=self.dtype, name="norm")(x)


class PatchMerge(nn.Module):
    """Joins 2x2 cells: (B, H, W, C) -> (B, H/2, W/2, 2 C), with a norm before the linear layer.

    The channels of the four lie column by column, unlike `patchify`'s, as in Swin.
    """

    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Halves the resolution."""
        features = 2 * x.shape[-1]
        x = rearrange(x, "b (h p) (w q) c -> b h w (q p c)", p=2, q=2)
        x = layer_norm(dtype=self.dtype, name="norm")(x)
        return Linear(features, use_bias=False, dtype=self.dtype, name="reduce")(x)


class PatchExpand(nn.Module):
    """Splits cells into 2x2: (B, H, W, C) -> (B, 2 H, 2 W, C/2), with a norm after it."""

    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Doubles the resolution."""
        linear = Linear(2 * x.shape[-1], use_bias=False, dtype=self.dtype, name="widen")
        return layer_norm(dtype=self.dtype, name="norm")(unpatchify(linear(x), 2))


class PatchInflate(nn.Module):
    """Grid to frame by transposed 3x3 convolutions, each of which doubles the resolution.

    A group norm and LeakyReLU 0.2 stand between two of them.

    Attributes:
      features: channels of the frame.
      size: side of the patches, a power of 2.
      dtype: compute dtype.
    """

    features: int
    size: int
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps (B, H, W, C) to (B, size H, size W, features)."""
        double = functools.partial(enlarging, dtype=self.dtype)
        for i in range(self.size.bit_length() - 2):
            x = double(x.shape[-1], name=f"conv_{i}")(x)
            norm = group_norm(GROUPS, dtype=self.dtype, name=f"norm_{i}")
            x = jax.nn.leaky_relu(norm(x), 0.2)
        return double(self.features, name="conv")(x)
