"""MMVP: motion-matrix-based video prediction (ICCV 2023).

Motion is predicted as matrices that say how alike the places of consecutive frames are, and what
frames look like is moved by these matrices.
"""

import math

import jax.numpy as jnp
from einops import rearrange
from flax import linen as nn
from jax import Array
from jax.typing import DTypeLike

from pdr_jax.backbones.base import Card, ClipPredictor
from pdr_jax.backbones.checks import at_least, integers
from pdr_jax.backbones.layers.conv import Conv
from pdr_jax.backbones.layers.motion_matrix import (
    ConvNorm,
    MatrixPredictor,
    compose,
    resized,
    similarity,
    spread,
)
from pdr_jax.backbones.layers.patches import patchify, unpatchify
from pdr_jax.backbones.layers.remat import recompute
from pdr_jax.backbones.layers.rrdb import Down, Up, rrdbs


class Encoder(nn.Module):
    """Pictures (N, H, W, C) -> features at the three coarsest of all scales, the coarsest last."""

    width: int
    scales: tuple[int, ...]
    depth: int
    dtype: DTypeLike | None = None
    remat: bool = False

    @nn.compact
    def __call__(self, x: Array) -> list[Array]:
        """Encodes pictures; each scale has twice the channels of the finer one."""
        x = Conv(self.width, 3, dtype=self.dtype, name="embed")(x)
        levels = [rrdbs(x, self.depth, self.dtype, self.remat)]
        names = [*(f"down_{i}" for i in range(len(self.scales) - 2)), "down_high", "down_low"]
        for i, (name, scale) in enumerate(zip(names, self.scales, strict=True), start=1):
            levels.append(Down(self.width * 2**i, scale, self.dtype, name=name)(levels[-1]))
        return levels[-3:]


class Decoder(nn.Module):
    """Features at the three coarsest scales -> pictures (N, H, W, channels)."""

    width: int
    scales: tuple[int, ...]
    depth: int
    channels: int
    dtype: DTypeLike | None = None
    remat: bool = False

    @nn.compact
    def __call__(self, middle: Array, high: Array, low: Array) -> Array:
        """Decodes pictures."""
        x, skips = low, {0: high, 1: middle}
        for i, scale in enumerate(reversed(self.scales)):
            width = self.width * 2 ** (len(self.scales) - 1 - i)
            x = Up(width, scale, self.dtype, name=f"up_{i}")(x, skips.get(i))
        x = rrdbs(x, self.depth, self.dtype, self.remat)
        return Conv(self.channels, dtype=self.dtype, name="readout")(x)


class Filter(nn.Module):
    """Three convolutions: what is left of features for the comparison of frames."""

    width: int
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Maps (N, h, w, C) to (N, h, w, width)."""
        for i in range(3):
            x = ConvNorm(self.width, dtype=self.dtype, name=f"layer_{i}")(x, train)
        return x


class Enhancer(nn.Module):
    """Decoded frames beside moved ones -> frames (N, H, W, channels)."""

    width: int
    depth: int
    channels: int
    dtype: DTypeLike | None = None
    remat: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps (N, H, W, 2 channels) to frames."""
        x = Conv(self.width, 3, dtype=self.dtype, name="embed")(x)
        x = rrdbs(x, self.depth, self.dtype, self.remat)
        return Conv(self.channels, dtype=self.dtype, name="readout")(x)


class Spare(nn.Module):
    """The layers that the public code declares and never uses."""

    width: int
    hidden: int

    @nn.compact
    def __call__(self) -> None:
        """Makes their variables."""
        skip = jnp.zeros((1, 2, 2, self.width))
        x = Up(self.width, 2, name="up")(jnp.zeros((1, 1, 1, 2 * self.width)), skip)
        for i in range(2):
            x = ConvNorm(self.width, name=f"layer_{i}")(x, False)
        Conv(self.hidden, 3, use_bias=False, name="fuse")(jnp.zeros((1, 1, 1, 2 * self.hidden)))


class MMVP(ClipPredictor):
    """Predicts motion matrices from those observed, and moves features and frames by them.

    Attributes:
      aft_seq_length: frames that one pass predicts; None: as many as are observed.
      hid_S: width of the encoder and decoder, even.
      hid_T: width of the motion predictor.
      rrdb_encoder_num: RRDBs of the encoder.
      rrdb_decoder_num: of the decoder.
      rrdb_enhance_num: of what sees decoded and moved frames together.
      downsample_setting: how many times smaller each level is than the finer one, 2 or 4, two or
        more levels; the finest has half the frames' resolution. Matrices are of the places of the
        last level but one: many places take much memory.
      faithful: the public code's behaviour, see the card.
    """

    aft_seq_length: int | None = None
    hid_S: int = 32  # noqa: N815 (the published names)
    hid_T: int = 192  # noqa: N815
    rrdb_encoder_num: int = 2
    rrdb_decoder_num: int = 2
    rrdb_enhance_num: int = 2
    downsample_setting: tuple[int, ...] = (2, 2, 2)
    faithful: bool = False

    card = Card(
        title="MMVP: Motion-Matrix-based Video Prediction",
        venue="ICCV 2023",
        link="https://arxiv.org/abs/2308.16154",
        source="OpenSTL c74deb5d, method MMVP",
        faithful="A softmax makes each motion matrix sum to 1, so that of P places a frame counts "
        "P times less than the next one, and only the last observed frame much. The direct "
        "predictor of motion alone, which every configuration there has (the other one fits only "
        "4 -> 1 frames).",
        corrected="Frames of several channels were put together in another order than they were "
        "taken apart, and layers were declared that nothing uses: faithful=True brings both back. "
        "Frames that do not divide into places are refused, where the public code interpolates. "
        "In training the public code encodes the frames to predict as well, which moves the "
        "statistics of its batch normalisation; no backbone here sees them.",
    )

    @property
    def clip_length(self) -> int:
        """Frames that one pass predicts."""
        return self.aft_seq_length or self.in_shape[0]

    def check(self) -> None:
        """Raises ValueError or TypeError, naming the field, where a setting is impossible."""
        super().check()
        at_least("in_shape's T", self.in_shape[0], 2)
        if self.aft_seq_length is not None:
            at_least("aft_seq_length", self.aft_seq_length, 1)
        for field, least in (("hid_S", 2), ("hid_T", 1)):
            at_least(field, getattr(self, field), least)
        if self.hid_S % 2:
            raise ValueError(f"hid_S = {self.hid_S} must be even")
        for part in ("encoder", "decoder", "enhance"):
            at_least(f"rrdb_{part}_num", getattr(self, f"rrdb_{part}_num"), 0)
        scales = integers("downsample_setting", self.downsample_setting, 2)
        at_least("the length of downsample_setting", len(scales), 2)
        for i, scale in enumerate(scales):
            if scale not in (2, 4):
                raise ValueError(f"downsample_setting[{i}] = {scale} must be 2 or 4")
        why = f"twice the product of downsample_setting = {scales}; take smaller or fewer levels"
        self.frames_divisible(2 * math.prod(scales), why)

    def setup(self) -> None:
        """Builds the parts."""
        self.check()
        _, height, width, channels = self.in_shape
        scales = self.downsample_setting
        self.cell = 2 * math.prod(scales[:-1])  # pixels along a place's sides
        self.grid = height // self.cell, width // self.cell
        how = (self.dtype, self.remat)
        self.encoder = Encoder(self.hid_S, scales, self.rrdb_encoder_num, *how)
        self.filter_high = Filter(self.hid_S, self.dtype)
        self.filter_low = Filter(2 * self.hid_S, self.dtype)
        self.predictor = MatrixPredictor(self.hid_T, self.clip_length, self.grid, self.dtype)
        self.decoder = Decoder(self.hid_S, scales, self.rrdb_decoder_num, 4 * channels, *how)
        self.enhance = Enhancer(self.hid_S, self.rrdb_enhance_num, channels, *how)
        if self.faithful:
            self.spare = Spare(self.hid_S, self.hid_T)

    def predict_clip(self, frames: Array, train: bool) -> Array:
        """One pass, (B, T, H, W, C) -> (B, clip_length, H, W, C)."""
        if self.faithful and self.is_initializing():  # for their weights alone
            self.spare()
        batch, scale = frames.shape[0], self.downsample_setting[-2]
        # PyTorch's order of channels, to which the weights are bound.
        pictures = rearrange(frames, "b t (h p) (w q) c -> (b t) h w (c p q)", p=2, q=2)
        middle, high, low = self.encoder(pictures)
        fine, coarse = self.matrices(high, low, train)

        parts = [
            patchify(self._clip(middle), scale), self._clip(high), patchify(frames, self.cell),
        ]  # fmt: skip
        places = jnp.concatenate([_places(part) for part in parts], axis=-1)
        ends = [parts[0].shape[-1], parts[0].shape[-1] + high.shape[-1]]
        moved = compose(places, *fine).reshape(-1, *self.grid, places.shape[-1])
        middle, high, images = jnp.split(moved, ends, axis=-1)
        low = compose(_places(self._clip(low)), *coarse).reshape(-1, *low.shape[1:])

        decoded = self.decoder(unpatchify(middle, scale), high, low)
        decoded = rearrange(decoded, "n h w (c p q) -> n (h p) (w q) c", p=2, q=2)
        out = self.enhance(jnp.concatenate([decoded, unpatchify(images, self.cell)], axis=-1))
        if self.faithful:
            height, width, channels = frames.shape[2:]
            out = out.reshape(batch, -1, channels, height, width)
            return rearrange(out, "b t c h w -> b t h w c")
        return out.reshape(batch, -1, *frames.shape[2:])

    def matrices(
        self, high: Array, low: Array, train: bool = False
    ) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        """Motion matrices, observed and predicted, for two levels of features of (B T) frames.

        Returns:
          (B, T - 1, P, P) and (B, clip_length, P, P) of the finer level, and of the coarser one.
        """
        seen = similarity(self._clip(self.filter_high(high, train)))
        seen_low = similarity(self._clip(self.filter_low(low, train)))
        coming = recompute(self.predictor, seen, train=train, when=self.remat)
        coming_low = resized(coming, self.grid, (low.shape[1], low.shape[2]))
        return (spread(seen), spread(coming)), (spread(seen_low), spread(coming_low))

    def _clip(self, pictures: Array) -> Array:
        return pictures.reshape(-1, self.in_shape[0], *pictures.shape[1:])


def _places(x: Array) -> Array:
    """(B, T, h, w, C) -> (B, T, h w, C)."""
    return x.reshape(*x.shape[:2], -1, x.shape[-1])
