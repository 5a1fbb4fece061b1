"""CrevNet: a conditionally reversible network (ICLR 2020).

An invertible network turns three consecutive frames into features without losing information. A
recurrent predictor, also reversible, moves the features on by one frame. The network's inverse
turns them back into frames.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jax.typing import DTypeLike

from pdr_jax.backbones.base import Card, FramePredictor
from pdr_jax.backbones.checks import at_least, integers
from pdr_jax.backbones.layers.conv3d import Conv3D
from pdr_jax.backbones.layers.gates import gated, remember
from pdr_jax.backbones.layers.norm import BatchNorm
from pdr_jax.backbones.layers.patches import patchify, unpatchify

WINDOW = 3  # frames that are encoded at once

Pair = tuple[Array, Array]


class CrevNetState(NamedTuple):
    """What CrevNet carries from frame to frame; maps are (B, WINDOW, H / 2^n, W / 2^n, width).

    Attributes:
      before: the two frames before the next one, (B, WINDOW - 1, H, W, C).
      hidden: each layer's output, a map.
      cells: each layer's cell, a map.
      memory: the one that goes through all layers, a map.
      seen: (B,) int32, frames so far.
      error: (B,), summed squared errors of the predicted windows' frames that were already seen.
    """

    before: Array
    hidden: tuple[Array, ...]
    cells: tuple[Array, ...]
    memory: Array
    seen: Array
    error: Array


class Residual(nn.Module):
    """Three 3x3x3 convolutions, each after normalisation and ReLU, through half the width.

    Attributes:
      features: output channels.
      stride: of the first convolution, in space.
      first: whether the first convolution has no normalisation and ReLU before it.
      dtype: compute dtype.
    """

    features: int
    stride: int
    first: bool
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Maps (N, T, H, W, C) to (N, T, H / stride, W / stride, features)."""
        half = max(1, self.features // 2)
        layers = ((half, self.stride), (half, 1), (self.features, 1))
        for i, (width, stride) in enumerate(layers):
            if i > 0 or not self.first:
                x = jax.nn.relu(BatchNorm(dtype=self.dtype, name=f"norm_{i}")(x, train))
            x = Conv3D(width, stride=stride, use_bias=False, dtype=self.dtype, name=f"conv_{i}")(x)
        return x


class InvertibleNetwork(nn.Module):
    """i-RevNet: pixels become channels; in turn, a residual of one half is added to the other.

    The step from pixels to channels and every stage but the first halve the resolution.

    Attributes:
      channels: of the frames.
      depths: blocks of each stage.
      dtype: compute dtype.
    """

    channels: int
    depths: tuple[int, ...]
    dtype: DTypeLike | None = None

    def setup(self) -> None:
        """Makes the residuals."""
        self.strides = [
            2 if stage > 0 and block == 0 else 1
            for stage, depth in enumerate(self.depths)
            for block in range(depth)
        ]
        widths = [
            2 * self.channels * 4**stage
            for stage, depth in enumerate(self.depths)
            for _ in range(depth)
        ]
        self.residuals = [
            Residual(width, stride, i == 0, self.dtype)
            for i, (width, stride) in enumerate(zip(widths, self.strides, strict=True))
        ]

    def encode(self, frames: Array, train: bool) -> Pair:
        """(N, T, H, W, C) -> two of (N, T, H / 2^n, W / 2^n, width), n the number of stages."""
        kept, changed = jnp.split(patchify(frames, 2), 2, axis=-1)
        for residual, stride in zip(self.residuals, self.strides, strict=True):
            change = residual(changed, train)
            if stride == 2:
                kept, changed = patchify(kept, 2), patchify(changed, 2)
            kept, changed = changed, kept + change
        return kept, changed

    def decode(self, features: Pair, train: bool) -> Array:
        """The inverse of `encode`; not quite in training, when statistics are the batch's."""
        kept, changed = features
        steps = zip(reversed(self.residuals), reversed(self.strides), strict=True)
        for residual, stride in steps:
            before = unpatchify(kept, 2) if stride == 2 else kept
            kept, changed = changed - residual(before, train), before
            if stride == 2:
                kept = unpatchify(kept, 2)
        return unpatchify(jnp.concatenate([kept, changed], axis=-1), 2)


class STConvLSTMCell(nn.Module):
    """A ConvLSTM whose gates see its cell, and that updates a memory shared by all layers.

    Attributes:
      features: channels of everything.
      dtype: compute dtype.
    """

    features: int
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array, hidden: Array, cell: Array, memory: Array) -> tuple[Array, ...]:
        """The new hidden state, cell and memory, all as `x` (N, T, H, W, features)."""
        conv = functools.partial(Conv3D, self.features, dtype=self.dtype)
        seen = jnp.concatenate([x, hidden, cell], axis=-1)
        names = ("cell_in", "cell_keep", "cell_write")
        cell, _ = remember(cell, *(conv(name=name)(seen) for name in names), forget_bias=0.0)
        seen = jnp.concatenate([x, memory, cell], axis=-1)
        names = ("memory_in", "memory_keep", "memory_write")
        memory, _ = remember(memory, *(conv(name=name)(seen) for name in names), forget_bias=0.0)
        gate = conv(name="gate")(jnp.concatenate([x, hidden, cell, memory], axis=-1))
        value = conv(kernel_size=1, name="value")(jnp.concatenate([cell, memory], axis=-1))
        return gated(gate, value), cell, memory


class CrevNet(FramePredictor):
    """Predicts windows of three frames, of which the last is the next frame.

    A window is predicted from the last three frames; copies of the first frame stand in for frames
    before it. The recurrent states start with the first window of three frames. Where a window
    holds a predicted frame, it is that frame's latest prediction.

    In the paper's training all inputs are true frames (sampling "teacher" with rate 0), and the
    loss is the squared error of predicted windows: a sum over a window's frames, a mean over
    windows. The trainer's "mse" covers each window's last frame; this sows the error of the others,
    which were already seen.

    Attributes:
      nBlocks: invertible blocks of each stage; features are 2^n times smaller than the frames for n
        stages, and 2 C 4^(n - 1) wide.
      predictor_rnn_layers: recurrent layers.
      faithful: the public code's behaviour, see the card.
    """

    nBlocks: tuple[int, ...] = (4, 5, 3)  # noqa: N815 (the published name)
    predictor_rnn_layers: int = 8
    faithful: bool = False

    card = Card(
        title="Efficient and Information-Preserving Future Frame Prediction and Beyond",
        venue="ICLR 2020",
        link="https://openreview.net/forum?id=B1eY_pVYvB",
        source="OpenSTL 0a0f36c0 (branch OpenSTLv0.3.0), method CrevNet",
        faithful="Every prediction is of three frames, two of them predicted anew. The public code "
        "works for 64x64 frames of one channel and one batch size only, and returns the first "
        "channel; this works for any.",
        corrected="In evaluation the state is that after all observed frames, as in training and "
        "in the authors' own code. The public code forgets that state and starts anew with the "
        "last three observed frames: faithful=True.",
    )

    def check(self) -> None:
        """Raises ValueError or TypeError, naming the field, where a setting is impossible."""
        super().check()
        stages = len(integers("nBlocks", self.nBlocks, 1))
        at_least("predictor_rnn_layers", self.predictor_rnn_layers, 1)
        self.frames_divisible(2**stages, f"2^n for the {stages} stages of nBlocks; leave out some")

    def setup(self) -> None:
        """Builds the invertible network and the predictor's layers."""
        self.check()
        layers = range(self.predictor_rnn_layers)
        self.network = InvertibleNetwork(self.in_shape[-1], self.nBlocks, self.dtype)
        self.cells = [STConvLSTMCell(self.width, self.dtype) for _ in layers]
        self.mixtures = [Conv3D(self.width, 1, dtype=self.dtype) for _ in layers]

    @property
    def width(self) -> int:
        """Channels of either half of the features."""
        return 2 * self.in_shape[-1] * 4 ** (len(self.nBlocks) - 1)

    @property
    def first_scored(self) -> int:
        """The predictions made before there is a whole window."""
        return min(WINDOW, self.in_shape[0]) - 1

    def start(self, frames: Array) -> CrevNetState:
        """Zero states, and the first frame twice."""
        batch, _, height, width, _ = frames.shape
        side = 2 ** len(self.nBlocks)
        shape = (batch, WINDOW, height // side, width // side, self.width)
        zeros = jnp.zeros(shape, self.dtype or frames.dtype)
        layers = (zeros,) * self.predictor_rnn_layers
        return CrevNetState(
            before=jnp.stack([frames[:, 0]] * (WINDOW - 1), axis=1),
            hidden=layers,
            cells=layers,
            memory=zeros,
            seen=jnp.zeros(batch, jnp.int32),
            error=jnp.zeros(batch, jnp.promote_types(frames.dtype, jnp.float32)),
        )

    def step(self, state: CrevNetState, frame: Array, train: bool) -> tuple[CrevNetState, Array]:
        """The state after `frame` (B, H, W, C), and the frame that follows."""
        length = self.in_shape[0]
        first = length - 1 if self.faithful and not train else self.first_scored
        whole = (state.seen > first).reshape(-1, 1, 1, 1, 1)
        hidden, cells, memory = jax.tree.map(
            lambda x: jnp.where(whole, x, 0), (state.hidden, state.cells, state.memory)
        )
        window = jnp.concatenate([state.before, frame[:, None]], axis=1)
        features, hidden, cells, memory = self.advance(
            self.network.encode(window, train), hidden, cells, memory
        )
        predicted = self.network.decode(features, train)

        before, error = window[:, 1:], state.error
        if train:
            again = jnp.square(predicted[:, :-1] - jax.lax.stop_gradient(before))
            again = again.astype(error.dtype).mean(axis=(2, 3, 4)).sum(axis=1)
            error = error + jnp.where(state.seen >= first, again, 0)
        else:
            number = state.seen.reshape(-1, 1) + jnp.arange(2 - WINDOW, 1).reshape(1, -1)
            observed = (number < length).reshape(*number.shape, 1, 1, 1)
            before = jnp.where(observed, before, predicted[:, :-1])
        state = CrevNetState(before, hidden, cells, memory, state.seen + 1, error)
        return state, predicted[:, -1]

    def advance(
        self, features: Pair, hidden: tuple[Array, ...], cells: tuple[Array, ...], memory: Array
    ) -> tuple[Pair, tuple[Array, ...], tuple[Array, ...], Array]:
        """Features of the next window, and the new state.

        Each layer sees one half of the features and mixes its output into the other.
        """
        seen, mixed = features
        new_hidden, new_cells = [], []
        layers = zip(self.cells, self.mixtures, hidden, cells, strict=True)
        for layer, mixture, output, cell in layers:
            output, cell, memory = layer(seen, output, cell, memory)
            # In the frames' dtype, as the features are: the inverse magnifies what is rounded.
            share = jax.nn.sigmoid(mixture(output).astype(mixed.dtype))
            seen, mixed = (1 - share) * mixed + share * output, seen
            new_hidden.append(output)
            new_cells.append(cell)
        return (seen, mixed), tuple(new_hidden), tuple(new_cells), memory

    def sow_losses(self, before: CrevNetState, after: CrevNetState, steps: int) -> None:
        """The error of the predicted windows."""
        self.sow("losses", "window", after.error.mean() / (steps - self.first_scored))
