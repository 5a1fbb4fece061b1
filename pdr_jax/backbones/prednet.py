"""PredNet (ICLR 2017): every level predicts the one below, and only errors travel upwards."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from einops import reduce, repeat
from flax import linen as nn
from jax import Array
from jax.nn.initializers import Initializer, zeros
from jax.typing import DTypeLike

from pdr_jax.backbones.base import Card, FramePredictor
from pdr_jax.backbones.checks import integers, odd, one_of
from pdr_jax.backbones.layers.conv import Conv
from pdr_jax.backbones.layers.initializers import pytorch_default

ACTIVATIONS = {"relu": jax.nn.relu, "tanh": jnp.tanh}


class Late(NamedTuple):
    """What being one step late, as the original is, needs.

    Attributes:
      before: (B, H, W, C), the prediction of the last frame.
      seen: (B,) int32, frames so far.
    """

    before: Array
    seen: Array


class PredNetState(NamedTuple):
    """The levels' states before the next frame is seen, lowest level first.

    Attributes:
      hidden: (B, H / 2^l, W / 2^l, C_l) of every level l; its prediction is made from it.
      cells: the LSTMs' memories, likewise.
      late: None unless faithful.
    """

    hidden: tuple[Array, ...]
    cells: tuple[Array, ...]
    late: Late | None


def zero_bias(fan_in: int, fan_out: int) -> tuple[Initializer, Initializer]:
    """Kernels start as PyTorch's default, biases at 0."""
    return pytorch_default(fan_in, fan_out)[0], zeros


def hard_sigmoid(x: Array) -> Array:
    """0.2 x + 0.5, kept within [0, 1]: Keras's."""
    return jnp.clip(0.2 * x + 0.5, 0, 1)


class Representation(nn.Module):
    """A level's ConvLSTM, whose gates are hard sigmoids of one convolution each.

    Attributes:
      features: channels of its state.
      filter_size: side of the convolutions.
      dtype: compute dtype.
    """

    features: int
    filter_size: int
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, inputs: Array, cell: Array) -> tuple[Array, Array]:
        """The hidden state and the cell after `inputs`, the last hidden state among them."""
        conv = functools.partial(
            Conv, self.features, self.filter_size, initializer=zero_bias, dtype=self.dtype
        )
        input_gate, forget_gate, output_gate = (
            hard_sigmoid(conv(name=name)(inputs)) for name in "ifo"
        )
        cell = forget_gate * cell + input_gate * jnp.tanh(conv(name="c")(inputs))
        return output_gate * jnp.tanh(cell), cell


class PredNet(FramePredictor):
    """Levels of predictive coding.

    Each level predicts the features of the level below from its ConvLSTM. Upwards, its error,
    split into what was too much and what was too little, makes the next level's features, at half
    the resolution; downwards, the states above and the errors of the last frame make the next
    states. The frame's own level is clipped at `pixel_max`.

    In the paper's training all frames are true (sampling "teacher" with rate 0) and the loss is
    the mean of the lowest level's errors: half of the L1 loss. Weights for the levels above, which
    the paper found to harm, are not offered.

    Attributes:
      stack_sizes: channels of the levels above the lowest, which has the frame's C. (OpenSTL's list
        includes C.)
      A_filt_sizes: sides of the convolutions from errors to the features of the next level: one
        for all, or one for each level but the highest.
      Ahat_filt_sizes: sides of the convolutions from states to predictions: one for all, or one
        for each level.
      R_filt_sizes: sides of the ConvLSTMs' convolutions: one for all, or one for each level.
      pixel_max: the largest value in a frame.
      error_activation: "relu" or "tanh", of both halves of an error.
      A_activation: "relu" or "tanh", of features and of their predictions.
      faithful: once no frame is given, take the prediction of the frame *before* for the truth.
    """

    stack_sizes: tuple[int, ...] = (32, 64, 128, 256)
    A_filt_sizes: tuple[int, ...] | int = 3
    Ahat_filt_sizes: tuple[int, ...] | int = 3
    R_filt_sizes: tuple[int, ...] | int = 3
    pixel_max: float = 1.0
    error_activation: str = "relu"
    A_activation: str = "relu"
    faithful: bool = False

    card = Card(
        title="Deep Predictive Coding Networks for Video Prediction and Unsupervised Learning",
        venue="ICLR 2017",
        link="https://arxiv.org/abs/1605.08104",
        source="OpenSTL 0a0f36c0 (branch OpenSTLv0.3.0), method PredNet",
        faithful="Frames lie in [0, pixel_max], for the prediction is a clipped ReLU. The LSTM's "
        "activations are tanh and a hard sigmoid whatever a configuration says.",
        corrected="Beyond the observed frames a prediction is taken for the frame it predicts, as "
        "the paper says, so that the lowest level's error is 0. The original takes the prediction "
        "of the frame before, one step late: faithful=True, outside training.",
    )

    def check(self) -> None:
        """Raises ValueError or TypeError, naming the field, where a setting is impossible."""
        super().check()
        levels = len(integers("stack_sizes", self.stack_sizes, 1)) + 1
        for field, count in (
            ("A_filt_sizes", levels - 1),
            ("Ahat_filt_sizes", levels),
            ("R_filt_sizes", levels),
        ):
            sides = per_level(getattr(self, field), count)
            if len(sides) != count:
                raise ValueError(f"{field} = {sides} must be one number, or {count} of them")
            for side in sides:
                odd(field, side)
        self.frames_divisible(2 ** (levels - 1), "halved from level to level")
        if not self.pixel_max > 0:
            raise ValueError(f"pixel_max = {self.pixel_max} must be greater than 0")
        for field in ("error_activation", "A_activation"):
            one_of(field, getattr(self, field), ACTIVATIONS)

    @property
    def output_range(self) -> tuple[float, float]:
        """The range of the clipped ReLU."""
        return 0.0, self.pixel_max

    def setup(self) -> None:
        """Makes the three parts of every level."""
        self.check()
        self.widths = (self.in_shape[-1], *self.stack_sizes)

        def parts(
            make: Callable[..., nn.Module], widths: tuple[int, ...], sides: tuple[int, ...] | int
        ) -> list[nn.Module]:
            pairs = zip(widths, per_level(sides, len(widths)), strict=True)
            return [make(width, side, dtype=self.dtype) for width, side in pairs]

        conv = functools.partial(Conv, initializer=zero_bias)
        self.represent = parts(Representation, self.widths, self.R_filt_sizes)
        self.guess = parts(conv, self.widths, self.Ahat_filt_sizes)
        self.ascend = parts(conv, self.stack_sizes, self.A_filt_sizes)

    def start(self, frames: Array) -> PredNetState:
        """The states before the first frame: what follows zero states and zero errors."""
        batch, _, height, width, _ = frames.shape
        dtype = self.dtype or frames.dtype

        def rest(halves: int) -> tuple[Array, ...]:
            return tuple(
                jnp.zeros((batch, height >> level, width >> level, halves * channels), dtype)
                for level, channels in enumerate(self.widths)
            )

        believed = self.descend(rest(1), rest(1), rest(2))
        hidden, cells = jax.tree.map(lambda x: x.astype(dtype), believed)
        late = Late(jnp.zeros_like(frames[:, 0]), jnp.zeros(batch, jnp.int32))
        return PredNetState(hidden, cells, late if self.faithful else None)

    def step(self, state: PredNetState, frame: Array, train: bool) -> tuple[PredNetState, Array]:
        """As the base says."""
        late = state.late
        if late is not None:
            if not train:
                unseen = late.seen >= self.in_shape[0]
                frame = jnp.where(unseen.reshape(-1, 1, 1, 1), late.before, frame)
            late = Late(self.predict(0, state.hidden[0]), late.seen + 1)
        errors = self.errors(state.hidden, frame)
        hidden, cells = self.descend(state.hidden, state.cells, errors)
        return PredNetState(hidden, cells, late), self.predict(0, hidden[0])

    def predict(self, level: int, hidden: Array) -> Array:
        """A level's prediction of the features from the level below, made from its state."""
        guess = self.guess[level](hidden)
        if level == 0:
            return jnp.minimum(jax.nn.relu(guess), self.pixel_max)
        return ACTIVATIONS[self.A_activation](guess)

    def errors(self, hidden: tuple[Array, ...], frame: Array) -> tuple[Array, ...]:
        """Every level's error about the features from below, (B, H / 2^l, W / 2^l, 2 C_l)."""
        positive, activate = ACTIVATIONS[self.error_activation], ACTIVATIONS[self.A_activation]
        actual, errors = frame, []
        for level, state in enumerate(hidden):
            excess = self.predict(level, state) - actual
            errors.append(jnp.concatenate([positive(excess), positive(-excess)], axis=-1))
            if level < len(hidden) - 1:
                features = activate(self.ascend[level](errors[-1]))
                actual = reduce(features, "b (h p) (w q) c -> b h w c", "max", p=2, q=2)
        return tuple(errors)

    def descend(
        self, hidden: tuple[Array, ...], cells: tuple[Array, ...], errors: tuple[Array, ...]
    ) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """The hidden states and cells that follow, from the highest level down."""
        following = []
        above: list[Array] = []
        for level in reversed(range(len(hidden))):
            inputs = jnp.concatenate([hidden[level], errors[level], *above], axis=-1)
            following.append(self.represent[level](inputs, cells[level]))
            above = [repeat(following[-1][0], "b h w c -> b (h p) (w q) c", p=2, q=2)]
        new_hidden, new_cells = zip(*reversed(following), strict=True)
        return new_hidden, new_cells


def per_level(sides: tuple[int, ...] | int, levels: int) -> tuple[int, ...]:
    """One number for every level."""
    return sides if isinstance(sides, tuple) else (sides,) * levels
