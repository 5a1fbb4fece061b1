"""SimVP's shell: an encoder per frame, a translator over all frames, a decoder per frame.

SimVP, its MetaFormer variants and TAU are this shell with different translators.
"""

from collections.abc import Sequence

import numpy as np
from einops import rearrange
from flax import linen as nn
from jax import Array
from jax.typing import DTypeLike

from pdr_jax.backbones.base import ClipPredictor
from pdr_jax.backbones.checks import at_least, divisible, fraction, odd
from pdr_jax.backbones.layers.conv import Conv
from pdr_jax.backbones.layers.conv_sc import ConvSC
from pdr_jax.backbones.layers.remat import recompute
from pdr_jax.backbones.metaformer import Block, MetaFormer


class Encoder(nn.Module):
    """Frames (N, H, W, C) -> latent (N, H', W', width) and skip (N, H, W, width).

    Every second layer halves the resolution; the skip is the first layer's output. With `remat` the
    layers are computed again for their gradient.
    """

    width: int
    depth: int
    kernel_size: int
    dtype: DTypeLike | None = None
    remat: bool = False

    @nn.compact
    def __call__(self, x: Array) -> tuple[Array, Array]:
        """Encodes frames."""
        outputs = []
        for i in range(self.depth):
            layer = ConvSC(
                self.width, self.kernel_size, down=i % 2 == 1, dtype=self.dtype, name=f"layer_{i}"
            )
            x = recompute(layer, x, when=self.remat)
            outputs.append(x)
        return x, outputs[0]


class Decoder(nn.Module):
    """Latent and skip -> frames: the encoder mirrored; its last layer also sees the skip.

    With `remat` the layers are computed again for their gradient.
    """

    width: int
    depth: int
    kernel_size: int
    channels: int
    dtype: DTypeLike | None = None
    remat: bool = False

    @nn.compact
    def __call__(self, x: Array, skip: Array) -> Array:
        """Decodes frames (N, H, W, channels)."""
        for i in range(self.depth):
            if i == self.depth - 1:
                x = x + skip
            layer = ConvSC(
                self.width, self.kernel_size, up=i % 2 == 0, dtype=self.dtype, name=f"layer_{i}"
            )
            x = recompute(layer, x, when=self.remat)
        return Conv(self.channels, dtype=self.dtype, name="readout")(x)


class EncoderDecoder(ClipPredictor):
    """Predicts a clip's next frames; subclasses choose the translator between the two.

    Attributes:
      hid_S: width of the encoder and decoder, even.
      N_S: layers of the encoder and of the decoder, even; every second changes the resolution.
      N_T: blocks of the translator.
      drop: dropout in the translator.
      drop_path: stochastic depth of the translator's last block.
      spatio_kernel_enc: side of the encoder's kernels, odd.
      spatio_kernel_dec: side of the decoder's kernels, odd.
    """

    hid_S: int = 16  # noqa: N815 (the published names)
    N_S: int = 4
    N_T: int = 4
    drop: float = 0.0
    drop_path: float = 0.0
    spatio_kernel_enc: int = 3
    spatio_kernel_dec: int = 3

    def make_translator(self) -> nn.Module:
        """A module from (B, H', W', T * hid_S) to the same shape, called with (x, train)."""
        raise NotImplementedError

    def check(self) -> None:
        """Raises ValueError or TypeError, naming the field, where a setting is impossible."""
        super().check()
        for field, least in (("hid_S", 2), ("N_S", 2), ("N_T", 1)):
            at_least(field, getattr(self, field), least)
        for field in ("hid_S", "N_S"):
            if getattr(self, field) % 2:
                raise ValueError(f"{field} = {getattr(self, field)} must be even")
        why = f"2^(N_S/2) with N_S = {self.N_S}; lower N_S"
        self.frames_divisible(2 ** min(self.N_S // 2, 30), why)
        for field in ("spatio_kernel_enc", "spatio_kernel_dec"):
            odd(field, getattr(self, field))
        for field in ("drop", "drop_path"):
            fraction(field, getattr(self, field))

    def setup(self) -> None:
        """Builds the three parts."""
        self.check()
        width, depth, how = self.hid_S, self.N_S, (self.dtype, self.remat)
        self.encoder = Encoder(width, depth, self.spatio_kernel_enc, *how)
        self.translator = self.make_translator()
        self.decoder = Decoder(width, depth, self.spatio_kernel_dec, self.in_shape[-1], *how)

    def predict_clip(self, frames: Array, train: bool) -> Array:
        """One pass, (B, T, H, W, C) -> the same shape."""
        latent, skip = self.encode(frames)
        latent = self.translate(latent, train)
        return self.decoder(latent.reshape(-1, *latent.shape[2:]), skip).reshape(frames.shape)

    def encode(self, frames: Array) -> tuple[Array, Array]:
        """Latent (B, T, H', W', hid_S) and skip (B * T, H, W, hid_S) of a clip."""
        batch, length = frames.shape[:2]
        latent, skip = self.encoder(frames.reshape(-1, *frames.shape[2:]))
        return latent.reshape(batch, length, *latent.shape[1:]), skip

    def translate(self, latent: Array, train: bool = False) -> Array:
        """Latent of the clip seen -> latent of the clip that follows, (B, T, H', W', hid_S)."""
        length = latent.shape[1]
        packed = rearrange(latent, "b t h w c -> b h w (t c)")
        packed = self.translator(packed, train)
        return rearrange(packed, "b h w (t c) -> b t h w c", t=length)


class SimVPShell(EncoderDecoder):
    """A translator of blocks; subclasses choose them.

    Attributes:
      hid_T: width of the translator.
      mlp_ratio: width of the translator's MLPs over their block's width.
    """

    hid_T: int = 256  # noqa: N815
    mlp_ratio: float = 8.0

    def make_translator(self) -> nn.Module:
        """The N_T blocks, at least 2 (IncepU: on either side of the U)."""
        return MetaFormer(tuple(self.make_blocks()), self.hid_T, self.dtype, self.remat)

    def make_blocks(self) -> Sequence[Block]:
        """What makes each of the translator's N_T blocks."""
        raise NotImplementedError

    def drop_path_rates(self) -> list[float]:
        """Stochastic depth of each block: linear from 0.01 (sic) in the first to `drop_path`.

        So drop_path=0 does not turn stochastic depth off in the first blocks; the published models
        were trained like that.
        """
        return [float(rate) for rate in np.linspace(0.01, self.drop_path, self.N_T)]

    def check(self) -> None:
        """Raises ValueError or TypeError, naming the field, where a setting is impossible."""
        super().check()
        at_least("hid_T", self.hid_T, 1)
        at_least("N_T", self.N_T, 2)
        if not self.mlp_ratio > 1:
            raise ValueError(f"mlp_ratio = {self.mlp_ratio} must be greater than 1")

    def check_widths(self, by: int, why: str) -> None:
        """Raises ValueError unless `by` divides both widths of the translator's blocks."""
        divisible("hid_T", self.hid_T, by, why)
        divisible("T * hid_S", self.in_shape[0] * self.hid_S, by, why)
