"""WaST: a wavelet-based spatiotemporal framework (AAAI 2024).

A 3D Haar transform halves the resolution; large depthwise kernels, gated per row and column,
translate the clip at full resolution before it, at half after it, and at full again.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from einops import rearrange
from flax import linen as nn
from jax import Array
from jax.typing import DTypeLike

from pdr_jax.backbones.base import Card, ClipPredictor
from pdr_jax.backbones.checks import at_least, fraction, integers
from pdr_jax.backbones.layers.conv import Conv
from pdr_jax.backbones.layers.conv3d import Conv3D
from pdr_jax.backbones.layers.dropout import stochastic_depth
from pdr_jax.backbones.layers.gelu import gelu
from pdr_jax.backbones.layers.norm import BatchNorm
from pdr_jax.backbones.layers.per_channel import apply_gain
from pdr_jax.backbones.layers.remat import recompute
from pdr_jax.backbones.layers.wavelet import haar, inverse_haar

LARGE_KERNEL, BOTTLENECK_KERNEL, WIDTH, SMALL_KERNEL = 51, 21, 5, 5
LAYER_SCALE = 0.01


class FrequencyAttention(nn.Module):
    """x times a gate per row and a gate per column, in (0, 1) (coordinate attention)."""

    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Gates `x` (N, H, W, C)."""
        height, channels = x.shape[1], x.shape[-1]
        conv = functools.partial(Conv, dtype=self.dtype)
        rows, columns = x.mean(axis=2, keepdims=True), x.mean(axis=1, keepdims=True)
        profile = jnp.concatenate([rows, columns.swapaxes(1, 2)], axis=1)
        profile = conv(max(8, channels // 4), name="reduce")(profile)
        profile = jax.nn.hard_swish(BatchNorm(dtype=self.dtype, name="norm")(profile, train))
        rows, columns = profile[:, :height], profile[:, height:].swapaxes(1, 2)
        gate_rows = jax.nn.sigmoid(conv(channels, name="rows")(rows))
        gate_columns = jax.nn.sigmoid(conv(channels, name="columns")(columns))
        return x * gate_columns * gate_rows


class InvertedResidual(nn.Module):
    """1x1 convolution to `ratio` times the width, depthwise 7x7, squeeze-excite, 1x1 back.

    MobileNetV3's block without its residual.
    """

    ratio: float
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Mixes channels, and with them times, of `x` (N, H, W, C)."""
        width = x.shape[-1]
        hidden = multiple_of_8(width * self.ratio)
        conv = functools.partial(Conv, dtype=self.dtype)
        norm = functools.partial(BatchNorm, dtype=self.dtype)

        y = conv(hidden, use_bias=False, name="expand")(x)
        y = jax.nn.relu(norm(name="norm_1")(y, train))
        y = conv(hidden, 7, groups=hidden, use_bias=False, name="depthwise")(y)
        y = jax.nn.relu(norm(name="norm_2")(y, train))

        gate = y.mean(axis=(1, 2), keepdims=True)
        gate = jax.nn.relu(conv(round(hidden / 4), name="squeeze")(gate))
        y = apply_gain(y, jax.nn.sigmoid(conv(hidden, name="excite")(gate)))

        y = conv(width, use_bias=False, name="contract")(y)
        return norm(name="norm_3")(y, train)


def multiple_of_8(width: float) -> int:
    """The nearest multiple of 8, at least 8, and not more than a tenth below (as MobileNet's)."""
    rounded = max(8, int(width + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * width else rounded + 8


class TimeFrequencyBlock(nn.Module):
    """x + s1 (A(tall x + wide x) + A(small x)), then x + s2 Mix(x); normalised, with drop path.

    The sum of a tall and a wide depthwise convolution sees low spatial frequencies, a small one
    high; each has its attention A. Mix is over time, which is among the channels. s1 and s2 are
    learned per channel.

    Attributes:
      kernel: long side of the tall and the wide kernel, odd.
      mlp_ratio: width of Mix over the block's width.
      drop_path: stochastic depth of both branches.
      faithful: scale the second branch by s1 too; s2 is then never used.
      dtype: compute dtype.
    """

    kernel: int
    mlp_ratio: float
    drop_path: float
    faithful: bool
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Transforms `x` (N, H, W, C) to the same shape."""
        width = x.shape[-1]
        drop_path = stochastic_depth(self.drop_path, train)
        norm = functools.partial(BatchNorm, dtype=self.dtype)
        attention = functools.partial(FrequencyAttention, self.dtype)
        scale_1, scale_2 = (
            self.param(name, nn.initializers.constant(LAYER_SCALE), (width,))
            for name in ("scale_1", "scale_2")
        )
        if self.faithful:
            scale_2 = scale_1

        def depthwise(y: Array, size: tuple[int, int], name: str) -> Array:
            y = Conv(width, size, groups=width, dtype=self.dtype, name=name)(y)
            return norm(name=f"{name}_norm")(y, train)

        y = norm(name="norm_1")(x, train)
        low = depthwise(y, (self.kernel, WIDTH), "tall") + depthwise(
            y, (WIDTH, self.kernel), "wide"
        )
        high = depthwise(y, (SMALL_KERNEL, SMALL_KERNEL), "small")
        y = attention(name="low")(low, train) + attention(name="high")(high, train)
        x = x + drop_path(apply_gain(y, scale_1))

        y = norm(name="norm_2")(x, train)
        y = InvertedResidual(self.mlp_ratio, self.dtype, name="mix")(y, train)
        return x + drop_path(apply_gain(y, scale_2))


class Translator(nn.Module):
    """Blocks over the frames of a clip at once, one for each rate of stochastic depth.

    Attributes:
      kernel: of the blocks, see `TimeFrequencyBlock`.
      mlp_ratio: likewise.
      drop_path: rate of each block.
      faithful: likewise.
      dtype: compute dtype.
      remat: whether the blocks are computed again for their gradient.
    """

    kernel: int
    mlp_ratio: float
    drop_path: tuple[float, ...]
    faithful: bool
    dtype: DTypeLike | None = None
    remat: bool = False

    @nn.compact
    def __call__(self, x: Array, train: bool, skip: Array | None = None) -> Array:
        """Translates a clip (N, T, H, W, C); with a `skip` of its shape, merges that first."""
        length = x.shape[1]
        x = _pack(x)
        if skip is not None:
            both = jnp.concatenate([x, _pack(skip)], axis=-1)
            x = Conv(x.shape[-1], 3, dtype=self.dtype, name="merge")(both)
        for i, rate in enumerate(self.drop_path):
            block = TimeFrequencyBlock(
                self.kernel, self.mlp_ratio, rate, self.faithful, self.dtype, name=f"block_{i}"
            )
            x = recompute(block, x, train=train, when=self.remat)
        return rearrange(x, "b h w (c t) -> b t h w c", t=length)


def _pack(clip: Array) -> Array:
    return rearrange(clip, "b t h w c -> b h w (c t)")


class ConvNormGelu(nn.Module):
    """3x3x3 convolution, batch normalisation, GELU."""

    features: int
    groups: int = 1
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Maps (N, T, H, W, C) to (N, T, H, W, features)."""
        x = Conv3D(self.features, groups=self.groups, dtype=self.dtype, name="conv")(x)
        return gelu(BatchNorm(dtype=self.dtype, name="norm")(x, train))


class Embedding(nn.Module):
    """Halves height and width: bands that are low and high in time follow each other in time.

    The result is the sum of a convolution of the features' spatially low bands, and one of all
    bands of the frames. The features' other six bands are for `Reconstruction`.

    Attributes:
      features: output channels.
      axes: of (N, T, H, W, C), the one that counts as time last, see `WaST.faithful`.
      dtype: compute dtype.
    """

    features: int
    axes: tuple[int, int, int]
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array, frames: Array, train: bool) -> tuple[Array, Array]:
        """(N, T, H, W, C) -> (N, T, H / 2, W / 2, features), (N, T / 2, H / 2, W / 2, 6 C)."""
        bands = haar(frames, self.axes)
        in_time = jnp.concatenate([_as_channels(bands[0::2]), _as_channels(bands[1::2])], axis=1)
        embedded = Conv3D(self.features, dtype=self.dtype, name="embed")(in_time)

        x = ConvNormGelu(x.shape[-1], dtype=self.dtype, name="before")(x, train)
        bands = haar(x, self.axes)
        low = jnp.concatenate([bands[0], bands[1]], axis=1)
        low = ConvNormGelu(self.features, dtype=self.dtype, name="after")(low, train)
        return low + embedded, _as_channels(bands[2:])


def _as_channels(bands: Array) -> Array:
    return rearrange(bands, "k b t h w c -> b t h w (k c)")


class Reconstruction(nn.Module):
    """`Embedding`'s inverse in form: convolutions of the low bands and of the six others.

    Attributes:
      features: output channels.
      axes: those of the embedding.
      dtype: compute dtype.
    """

    features: int
    axes: tuple[int, int, int]
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array, high: Array, train: bool) -> Array:
        """Makes (N, T, 2 H, 2 W, features) of what `Embedding` returns."""
        low = ConvNormGelu(self.features, dtype=self.dtype, name="low")(x, train)
        high = ConvNormGelu(6 * self.features, 6, self.dtype, name="high")(high, train)
        low = rearrange(low, "b (k t) h w c -> k b t h w c", k=2)
        high = rearrange(high, "b t h w (k c) -> k b t h w c", k=6)
        return inverse_haar(jnp.concatenate([low, high]), self.axes)


class WaST(ClipPredictor):
    """Predicts a clip's next frames.

    Frames of odd height or width, and clips of odd length, are extended by a copy of the last row,
    column or frame, for a wavelet transform needs pairs; the result is cropped again.

    Attributes:
      encoder_dim: width per frame at full resolution; twice that at half resolution.
      block_list: blocks before the transform, after it, and after its inverse.
      mlp_ratio: width of the blocks' last convolutions over their own width.
      drop_path: stochastic depth of the last block; rises linearly from 0 in the first.
      faithful: the public code's behaviour, see the card.
    """

    encoder_dim: int = 20
    block_list: tuple[int, ...] = (2, 8, 2)
    mlp_ratio: float = 4.0
    drop_path: float = 0.25
    faithful: bool = False

    card = Card(
        title="Wavelet-Driven Spatiotemporal Predictive Learning: Bridging Frequency and Time "
        "Variations",
        venue="AAAI 2024",
        link="https://doi.org/10.1609/aaai.v38i5.28230",
        source="OpenSTL c74deb5d, method WaST",
        faithful="The bottleneck is not decomposed further. The loss, mse_hffl, adds "
        "pdr_jax.losses_wavelet.high_frequency_focal to the mean squared error.",
        corrected="The wavelet bands that follow each other in time are those low and high in "
        "time; in the public code they are low and high along the width, for it mistakes the order "
        "of the axes. Each block's second branch has its own layer scale; in the public code it "
        "shares the first's and its own is never used. faithful=True brings both back. The "
        "published training drops no path in its first 20 epochs; this one does from the first "
        "step.",
    )

    def check(self) -> None:
        """Raises ValueError or TypeError, naming the field, where a setting is impossible."""
        super().check()
        at_least("encoder_dim", self.encoder_dim, 1)
        if len(integers("block_list", self.block_list, 1)) != 3:
            raise ValueError(f"block_list = {self.block_list} must have three numbers of blocks")
        if not self.mlp_ratio > 0:
            raise ValueError(f"mlp_ratio = {self.mlp_ratio} must be greater than 0")
        fraction("drop_path", self.drop_path)

    def setup(self) -> None:
        """Builds the parts."""
        self.check()
        rates = [float(rate) for rate in np.linspace(0, self.drop_path, sum(self.block_list))]
        axes = (1, 2, 3) if self.faithful else (3, 2, 1)
        width, dtype = self.encoder_dim, self.dtype

        def translator(stage: int, kernel: int) -> Translator:
            first = sum(self.block_list[:stage])
            drop_path = tuple(rates[first : first + self.block_list[stage]])
            return Translator(kernel, self.mlp_ratio, drop_path, self.faithful, dtype, self.remat)

        self.conv_in = ConvNormGelu(width, dtype=dtype)
        self.translator_in = translator(0, LARGE_KERNEL)
        self.embedding = Embedding(2 * width, axes, dtype)
        self.bottleneck = translator(1, BOTTLENECK_KERNEL)
        self.reconstruction = Reconstruction(width, axes, dtype)
        self.translator_out = translator(2, LARGE_KERNEL)
        self.norm_out = BatchNorm(dtype=dtype)
        self.conv_out = Conv3D(self.in_shape[-1], dtype=dtype)

    def predict_clip(self, frames: Array, train: bool) -> Array:
        """One pass, (B, T, H, W, C) -> the same shape."""
        length, height, width, _ = self.in_shape
        missing = ((0, size % 2) for size in (length, height, width))
        frames = jnp.pad(frames, ((0, 0), *missing, (0, 0)), mode="edge")

        skip = self.translator_in(self.conv_in(frames, train), train)
        x, high = self.embedding(skip, frames, train)
        x = self.bottleneck(x, train)
        x = self.reconstruction(x, high, train)
        x = self.translator_out(x, train, skip)
        x = self.conv_out(gelu(self.norm_out(x, train)))
        return x[:, :length, :height, :width]
