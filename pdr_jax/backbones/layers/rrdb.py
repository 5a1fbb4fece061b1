"""RRDB, residual blocks in a residual block, each of densely connected convolutions (ESRGAN).

And the blocks that change the resolution between them in MMVP.
"""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jax.typing import DTypeLike

from pdr_jax.backbones.layers.conv import Conv
from pdr_jax.backbones.layers.conv_transpose import ConvTranspose
from pdr_jax.backbones.layers.remat import recompute

RESIDUAL = 0.2  # gain of every residual branch


class DenseBlock(nn.Module):
    """Four convolutions, of which each sees all before it; half as many channels between them."""

    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Transforms `x` (N, H, W, C) to the same shape."""
        conv = functools.partial(Conv, kernel_size=3, dtype=self.dtype)
        seen = x
        for i in (1, 2, 3):
            y = jax.nn.leaky_relu(conv(x.shape[-1] // 2, name=f"conv_{i}")(seen), 0.2)
            seen = jnp.concatenate([seen, y], axis=-1)
        return x + RESIDUAL * conv(x.shape[-1], name="conv_4")(seen)


class RRDB(nn.Module):
    """Three dense blocks, and a residual connection around them."""

    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Transforms `x` (N, H, W, C) to the same shape."""
        y = x
        for i in (1, 2, 3):
            y = DenseBlock(self.dtype, name=f"dense_{i}")(y)
        return x + RESIDUAL * y


def rrdbs(x: Array, count: int, dtype: DTypeLike | None, remat: bool) -> Array:
    """`count` RRDBs, "rrdb_0" and so on; to be called in a module's compact method."""
    for i in range(count):
        x = recompute(RRDB(dtype, name=f"rrdb_{i}"), x, when=remat)
    return x


class Down(nn.Module):
    """A residual block that makes frames 2 or 4 times smaller."""

    features: int
    scale: int
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps (N, H, W, C) to (N, H / scale, W / scale, features)."""
        conv = functools.partial(Conv, self.features, dtype=self.dtype)
        y = jax.nn.relu(conv(3, stride=2, name="conv_1")(x))
        y = jax.nn.relu(conv(3, name="conv_2")(y)) + conv(1, stride=2, name="shortcut")(x)
        if self.scale == 4:
            y = nn.max_pool(y, (2, 2), (2, 2))
        return jax.nn.leaky_relu(y)


class Up(nn.Module):
    """Frames `scale` times larger, beside those of a skip connection if there is one."""

    features: int
    scale: int
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array, skip: Array | None = None) -> Array:
        """Maps (N, H, W, C) to (N, scale H, scale W, features)."""
        x = ConvTranspose(self.features, self.scale, self.scale, dtype=self.dtype, name="up")(x)
        if skip is not None:
            x = jnp.concatenate([skip, x], axis=-1)
        return jax.nn.relu(Conv(self.features, 3, use_bias=False, dtype=self.dtype, name="conv")(x))
