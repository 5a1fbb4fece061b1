"""A small U-Net over frames: convolutions in space, attention in time.

Each frame goes down through levels of half the resolution and up again. At every level each
position attends over its predicted frames, so that what is drawn moves as one. Blocks are told the
diffusion time and how far ahead a frame lies; neither fixes the number of frames.
"""

import functools
import math

import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jax.nn.initializers import zeros
from jax.typing import DTypeLike
from jaxtyping import Float

from pdr_jax.arrays import AnyArray, lead_times
from pdr_jax.backbones.layers.attention import SelfAttention
from pdr_jax.backbones.layers.conv import Conv
from pdr_jax.backbones.layers.initializers import lecun_normal
from pdr_jax.backbones.layers.linear import Linear
from pdr_jax.backbones.layers.norm import group_norm
from pdr_jax.backbones.layers.patches import patchify, unpatchify
from pdr_jax.backbones.layers.remat import recompute
from pdr_jax.diffusion.config import GROUPS, DiffusionConfig

HEADS = 4
FREQUENCIES = 8  # of the features of a time: waves of length 2, 1, 1/2, ...


class UNet(nn.Module):
    """Predicts "v" or "eps" of a residual from its noisy form and the frames that are known.

    Attributes:
      config: its sizes.
      dtype: compute dtype; parameters and the result are float32.
      remat: whether blocks are computed again for their gradient.
    """

    config: DiffusionConfig
    dtype: DTypeLike | None = None
    remat: bool = False

    @nn.compact
    def __call__(
        self,
        noisy: Float[AnyArray, "B K H W C"],
        time: Float[Array, " B"],
        *,
        prediction: Float[AnyArray, "B K H W C"],
        observed: Float[AnyArray, "B T H W C"],
    ) -> Float[Array, "B K H W C"]:
        """Predicts for each of K future frames, of any height and width.

        Args:
          noisy: scaled residuals with noise.
          time: the diffusion time, in [0, 1].
          prediction: the deterministic frames.
          observed: the frames before them.
        """
        config, (height, width) = self.config, noisy.shape[2:4]
        by = config.patch * 2 ** (len(config.widths) - 1)
        linear = functools.partial(Linear, initializer=lecun_normal, dtype=self.dtype)
        conv = functools.partial(FrameConv, config.widths[0], self.dtype)
        seen = jnp.concatenate(jnp.unstack(observed, axis=1), axis=-1)[:, None]
        known = patchify(_padded(jnp.concatenate([noisy, prediction], -1), by), config.patch)
        x = conv(name="frames")(known)
        x += conv(name="observed")(patchify(_padded(seen, by), config.patch))
        about = _about(time, noisy.shape[1])
        about = nn.silu(linear(4 * config.widths[0], name="about")(about))

        def level(x: Array, index: int, name: str) -> Array:
            for block in range(config.blocks):
                made = Block(config.widths[index], self.dtype, name=f"{name}{index}_{block}")
                x = recompute(made, x, about, when=self.remat)
            return x

        kept = []
        for index, channels in enumerate(config.widths):
            if index:
                x = linear(channels, name=f"merge{index}")(patchify(x, 2))
            kept.append(x := level(x, index, "down"))
        for index in reversed(range(len(config.widths) - 1)):
            x = unpatchify(linear(4 * config.widths[index], name=f"split{index}")(x), 2)
            x = level(jnp.concatenate([x, kept[index]], -1), index, "up")
        x = nn.silu(_norm(x, self.dtype, "norm"))
        channels = config.patch**2 * noisy.shape[-1]
        out = Linear(channels, initializer=_zero, name="out")(x.astype(jnp.float32))
        return unpatchify(out, config.patch)[:, :, :height, :width]


class FrameConv(nn.Module):
    """A 3x3 convolution of every frame: (B, K, H, W, C) -> (B, K, H, W, features)."""

    features: int
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Convolves."""
        conv = Conv(self.features, 3, initializer=lecun_normal, dtype=self.dtype, name="conv")
        return conv(x.reshape(-1, *x.shape[2:])).reshape(*x.shape[:-1], self.features)


class Block(nn.Module):
    """Two convolutions, told `about`, and attention over time, each added to what it is given."""

    features: int
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array, about: Array) -> Array:
        """Maps x (B, K, H, W, C), about (B, K, E) -> (B, K, H, W, features)."""
        linear = functools.partial(Linear, initializer=lecun_normal, dtype=self.dtype)
        conv = functools.partial(FrameConv, self.features, self.dtype)
        hidden = conv(name="first")(nn.silu(_norm(x, self.dtype, "norm1")))
        told = linear(2 * self.features, name="told")(about)[:, :, None, None]
        gain, shift = jnp.split(told, 2, axis=-1)
        hidden = _norm(hidden, self.dtype, "norm2") * (1 + gain) + shift
        hidden = conv(name="second")(nn.silu(hidden))
        x = x if x.shape[-1] == self.features else linear(self.features, name="skip")(x)
        x += hidden
        sequences = jnp.moveaxis(_norm(x, self.dtype, "norm3"), 1, -2)
        attention = SelfAttention(HEADS, initializer=lecun_normal, dtype=self.dtype, name="time")
        return x + jnp.moveaxis(attention(sequences, train=False), -2, 1)


def _norm(x: Array, dtype: DTypeLike | None, name: str) -> Array:
    """Normalises groups of channels, each frame by itself."""
    norm = group_norm(num_groups=GROUPS, reduction_axes=(-3, -2, -1), dtype=dtype, name=name)
    return norm(x)


def _padded(x: Array, by: int) -> Array:
    """Frames (B, K, H, W, C), their last row and column repeated up to a multiple of `by`."""
    down, right = (-size % by for size in x.shape[2:4])
    return jnp.pad(x, ((0, 0), (0, 0), (0, down), (0, right), (0, 0)), mode="edge")


def _about(time: Array, frames: int) -> Array:
    """Features (B, K, E) of the diffusion time (B,) and of how far ahead each frame lies."""
    waves = math.pi * 2.0 ** jnp.arange(FREQUENCIES)

    def features(values: Array) -> Array:
        phase = values[:, None] * waves[None]
        return jnp.concatenate([jnp.sin(phase), jnp.cos(phase)], axis=-1)

    shape = (len(time), frames, 2 * FREQUENCIES)
    parts = features(time)[:, None], features(lead_times(frames))[None]
    return jnp.concatenate([jnp.broadcast_to(part, shape) for part in parts], axis=-1)


def _zero(fan_in: int, fan_out: int) -> tuple:
    del fan_in, fan_out
    return zeros, zeros
