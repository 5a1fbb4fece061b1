"""The shell of the recurrent family: patches in, a stack of recurrent cells, patches out.

ConvLSTM, PredRNN, PredRNN++, PredRNNv2, MIM and E3D-LSTM are this shell with different cells.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from pdr_jax.backbones.base import FramePredictor, State
from pdr_jax.backbones.checks import at_least, integers, odd
from pdr_jax.backbones.layers.conv import Conv
from pdr_jax.backbones.layers.patches import patchify, unpatchify

# Releases of OpenSTL: the cells of two models differ between them, with the same weights.
RELEASES = ("v1.0", "v0.3")


class RecurrentShell(FramePredictor):
    """Predicts the next frame from the last one and the cells' state; subclasses say how.

    Attributes:
      num_hidden: channels of each layer, the bottom one first.
      filter_size: odd side of the convolutions' kernels.
      patch_size: side p of the square patches whose pixels become channels: all layers work on
        maps of (H / p, W / p).
      layer_norm: whether the gates' convolutions are normalised over the whole map.
    """

    num_hidden: tuple[int, ...] = (128, 128, 128, 128)
    filter_size: int = 5
    patch_size: int = 4
    layer_norm: bool = False

    # Whether one memory goes through all layers, so that they must be equally wide.
    shares_memory: ClassVar[bool] = True

    def make_cells(self) -> Sequence[nn.Module]:
        """The cells, the bottom one first."""
        raise NotImplementedError

    def advance(self, state: State, x: Array, train: bool) -> tuple[State, Array]:
        """The state after the patches `x` (B, H / p, W / p, p p C), and the top layer's output."""
        raise NotImplementedError

    def check(self) -> None:
        """Raises ValueError or TypeError, naming the field, where a setting is impossible."""
        super().check()
        widths = integers("num_hidden", self.num_hidden, 1)
        if self.shares_memory and len(set(widths)) > 1:
            raise ValueError(
                f"num_hidden = {widths} must be equal widths: one memory goes through all layers"
            )
        at_least("patch_size", self.patch_size, 1)
        odd("filter_size", self.filter_size)
        self.frames_divisible(self.patch_size, "patch_size")

    def setup(self) -> None:
        """Builds the cells and the readout."""
        self.check()
        self.cells = self.make_cells()
        channels = self.patch_size**2 * self.in_shape[-1]
        self.readout = Conv(channels, use_bias=False, dtype=self.dtype)

    def step(self, state: State, frame: Array, train: bool) -> tuple[State, Array]:
        """The state after `frame` (B, H, W, C), and the frame that follows."""
        state, hidden = self.advance(state, patchify(frame, self.patch_size), train)
        return state, unpatchify(self.readout(hidden), self.patch_size)

    def cell_settings(self) -> dict[str, Any]:
        """The settings that all cells share."""
        return {
            "kernel_size": self.filter_size,
            "layer_norm": self.layer_norm,
            "dtype": self.dtype,
        }

    def zeros(self, frames: Array, channels: int) -> Array:
        """A state before the first of `frames` (B, T, H, W, C): (B, H / p, W / p, channels)."""
        batch, _, height, width, _ = frames.shape
        shape = (batch, height // self.patch_size, width // self.patch_size, channels)
        return jnp.zeros(shape, self.dtype or frames.dtype)
