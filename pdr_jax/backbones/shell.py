"""SimVP's shell: an encoder per frame, a translator over all frames, a decoder per frame.

SimVP, its MetaFormer variants and TAU are this shell with different translators.
"""

import math
import operator

import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jax.typing import DTypeLike

from pdr_jax.backbones.conv import Conv
from pdr_jax.backbones.conv_sc import ConvSC
from pdr_jax.backbones.metaformer import Block, MetaFormer


class Encoder(nn.Module):
    """Frames (N, H, W, C) -> latent (N, H', W', width) and skip (N, H, W, width).

    Every second layer halves the resolution; the skip is the first layer's output.
    """

    width: int
    depth: int
    kernel_size: int
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array) -> tuple[Array, Array]:
        """Encodes frames."""
        outputs = []
        for i in range(self.depth):
            layer = ConvSC(
                self.width, self.kernel_size, down=i % 2 == 1, dtype=self.dtype, name=f"layer_{i}"
            )
            x = layer(x)
            outputs.append(x)
        return x, outputs[0]


class Decoder(nn.Module):
    """Latent and skip -> frames; the encoder's mirror, the skip added before its last layer."""

    width: int
    depth: int
    kernel_size: int
    channels: int
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array, skip: Array) -> Array:
        """Decodes frames (N, H, W, channels)."""
        for i in range(self.depth):
            if i == self.depth - 1:
                x = x + skip
            layer = ConvSC(
                self.width, self.kernel_size, up=i % 2 == 0, dtype=self.dtype, name=f"layer_{i}"
            )
            x = layer(x)
        return Conv(self.channels, dtype=self.dtype, name="readout")(x)


class SimVPShell(nn.Module):
    """Predicts a clip's next frames; subclasses say which translator.

    Called as `module.apply(variables, frames, horizon=None, train=False)`. Training draws from
    the "dropout" key and updates the "batch_stats" collection, where the translator has one.

    Attributes:
      in_shape: (T, H, W, C) of the input clip; T is fixed, the horizon is not.
      hid_S: width of the encoder and decoder, even.
      hid_T: width of the translator.
      N_S: layers of the encoder, and of the decoder; even, every second changes the resolution.
      N_T: blocks of the translator, at least 2 (IncepU: on either side of the U).
      mlp_ratio: width of the translator's MLPs over their block's width.
      drop: dropout in the translator's MLPs.
      drop_path: stochastic depth of the translator's last block.
      spatio_kernel_enc: side of the encoder's kernels, odd.
      spatio_kernel_dec: side of the decoder's kernels, odd.
      dtype: compute dtype; None follows the frames. Parameters are float32 always.
    """

    in_shape: tuple[int, ...]
    hid_S: int = 16  # noqa: N815 (the published names)
    hid_T: int = 256  # noqa: N815
    N_S: int = 4
    N_T: int = 4
    mlp_ratio: float = 8.0
    drop: float = 0.0
    drop_path: float = 0.0
    spatio_kernel_enc: int = 3
    spatio_kernel_dec: int = 3
    dtype: DTypeLike | None = None

    def make_translator(self) -> nn.Module:
        """A module from (B, H', W', T * hid_S) to the same shape, called with (x, train)."""
        raise NotImplementedError

    def metaformer(self, block: Block) -> MetaFormer:
        """The translator of the MetaFormer variants: N_T of these blocks."""
        return MetaFormer(
            block=block,
            hidden=self.hid_T,
            depth=self.N_T,
            mlp_ratio=self.mlp_ratio,
            drop=self.drop,
            drop_path=self.drop_path,
            dtype=self.dtype,
        )

    def check(self) -> None:
        """Raises ValueError or TypeError, naming the field, where a setting is impossible."""
        if len(self.in_shape) != 4:
            raise ValueError(f"in_shape = {self.in_shape} must be (T, H, W, C)")
        for axis, size in zip("THWC", self.in_shape, strict=True):
            at_least(f"in_shape's {axis}", size, 1)
        for field, least in (("hid_S", 2), ("hid_T", 1), ("N_S", 2), ("N_T", 2)):
            at_least(field, getattr(self, field), least)
        for field in ("hid_S", "N_S"):
            if getattr(self, field) % 2:
                raise ValueError(f"{field} = {getattr(self, field)} must be even")
        _, height, width, _ = self.in_shape
        factor = 2 ** (self.N_S // 2)
        for axis, size in (("H", height), ("W", width)):
            if size % factor:
                raise ValueError(
                    f"in_shape's {axis} = {size} must be divisible by {factor} "
                    f"(2^(N_S/2) with N_S = {self.N_S}): crop or pad the frames, or lower N_S"
                )
        for field in ("spatio_kernel_enc", "spatio_kernel_dec"):
            at_least(field, getattr(self, field), 1)
            if getattr(self, field) % 2 == 0:
                raise ValueError(f"{field} = {getattr(self, field)} must be odd")
        if not self.mlp_ratio > 1:
            raise ValueError(f"mlp_ratio = {self.mlp_ratio} must be greater than 1")
        for field in ("drop", "drop_path"):
            if not 0 <= getattr(self, field) < 1:
                raise ValueError(f"{field} = {getattr(self, field)} must be in [0, 1)")

    def setup(self) -> None:
        """Builds the three parts."""
        self.check()
        channels = self.in_shape[-1]
        self.encoder = Encoder(self.hid_S, self.N_S, self.spatio_kernel_enc, self.dtype)
        self.translator = self.make_translator()
        self.decoder = Decoder(self.hid_S, self.N_S, self.spatio_kernel_dec, channels, self.dtype)

    def __call__(self, frames: Array, horizon: int | None = None, train: bool = False) -> Array:
        """Predicts the frames that follow.

        One pass predicts as many frames as it sees. A shorter horizon keeps the first of them; a
        longer one feeds the prediction back as the next pass's input.

        Args:
          frames: (B, T, H, W, C) with T, H, W, C as `in_shape`, floating point.
          horizon: number of frames to predict, in_shape's T by default.
          train: whether to drop paths and to use and update the batch's own statistics.

        Returns:
          (B, horizon, H, W, C) in the dtype of `frames`.

        Raises:
          ValueError: if the frames do not fit `in_shape`, or the horizon is not positive.
          TypeError: if the frames are not floating point.
        """
        length = self.in_shape[0]
        horizon = length if horizon is None else at_least("horizon", horizon, 1)
        self._check_frames(frames)
        passes = math.ceil(horizon / length)
        if passes == 1:
            return self._predict(frames, train)[:, :horizon]
        if train:
            clips = self._roll_out(frames, passes)
        else:
            if self.is_initializing():  # one pass makes every variable
                self._predict(frames, train)
            clips = self._scan(frames, passes)
        return clips.reshape(frames.shape[0], -1, *frames.shape[2:])[:, :horizon]

    def _roll_out(self, frames: Array, passes: int) -> Array:
        """Training passes one after the other, (B, passes, T, H, W, C).

        Unrolled: XLA's CPU back end takes six times as long for the gradient of a scan.
        """
        clips = []
        for _ in range(passes):
            frames = self._predict(frames, train=True)
            clips.append(frames)
        return jnp.stack(clips, axis=1)

    def _scan(self, frames: Array, passes: int) -> Array:
        """Evaluation passes as a scan, so that a long horizon compiles one pass and not many."""

        def advance(module: SimVPShell, clip: Array, _: None) -> tuple[Array, Array]:
            following = module._predict(clip, train=False)
            return following, following

        scan = nn.scan(
            advance,
            variable_broadcast=("params", "batch_stats"),
            split_rngs={"params": False},
            out_axes=1,
            length=passes,
        )
        return scan(self, frames, None)[1]

    def encode(self, frames: Array) -> tuple[Array, Array]:
        """Latent (B, T, H', W', hid_S) and skip (B * T, H, W, hid_S) of a clip."""
        batch, length = frames.shape[:2]
        latent, skip = self.encoder(frames.reshape(-1, *frames.shape[2:]))
        return latent.reshape(batch, length, *latent.shape[1:]), skip

    def translate(self, latent: Array, train: bool = False) -> Array:
        """Latent of the clip seen -> latent of the clip that follows, (B, T, H', W', hid_S)."""
        batch, length, height, width, channels = latent.shape
        # Frames become channels, time-major.
        packed = latent.transpose(0, 2, 3, 1, 4).reshape(batch, height, width, -1)
        packed = self.translator(packed, train)
        unpacked = packed.reshape(batch, height, width, length, channels)
        return unpacked.transpose(0, 3, 1, 2, 4)

    def _predict(self, frames: Array, train: bool) -> Array:
        """One pass, (B, T, H, W, C) -> the same shape and dtype."""
        latent, skip = self.encode(frames)
        latent = self.translate(latent, train)
        decoded = self.decoder(latent.reshape(-1, *latent.shape[2:]), skip)
        return decoded.reshape(frames.shape).astype(frames.dtype)

    def _check_frames(self, frames: Array) -> None:
        if frames.ndim != 5 or frames.shape[1:] != tuple(self.in_shape):
            raise ValueError(
                f"frames have shape {frames.shape}; this {type(self).__name__} was built for "
                f"(B, T, H, W, C) = (B, {', '.join(map(str, self.in_shape))}): "
                f"reshape the clip or create the backbone with its in_shape"
            )
        if not jnp.issubdtype(frames.dtype, jnp.floating):
            raise TypeError(
                f"frames have dtype {frames.dtype}; expected floating point, e.g. uint8 / 255"
            )


def at_least(field: str, value: int, least: int) -> int:
    """Returns `value` as an int if it is an integer >= `least`; else raises, naming `field`."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{field} = {value!r} must be an integer") from None
    if number < least:
        raise ValueError(f"{field} = {number} must be at least {least}")
    return number
