"""What every backbone is, and the two kinds of roll-out: a clip at a time, a frame at a time."""

import dataclasses
import math
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import struct
from jax import Array
from jax.typing import DTypeLike

from pdr_jax.backbones.checks import FrameSizeError, at_least, divisible, number

State = Any  # a pytree of arrays (B, ...)


class Card(NamedTuple):
    """Where a backbone comes from, and how this one relates to the public code.

    Attributes:
      title: of the paper.
      venue: where and when it appeared.
      link: to the paper.
      source: the public code that the backbone is checked against: repository and commit.
      faithful: what is exactly as in the public code, quirks included.
      corrected: what differs, and what `faithful=True` brings back; "" if nothing differs.
    """

    title: str
    venue: str
    link: str
    source: str
    faithful: str
    corrected: str = ""


class Forcing(struct.PyTreeNode):
    """True frames that a frame-at-a-time backbone sees in training instead of its own.

    Attributes:
      frames: (B, horizon, H, W, C), the true frames after the observed ones.
      given: (B, T + horizon - 1) bool; whether a step sees the true frame. The first step always
        does.
    """

    frames: Array
    given: Array


class Backbone(nn.Module):
    """Predicts a clip's next frames.

    Called as `module.apply(variables, frames, horizon=None, train=False)`. Training draws from the
    "dropout" key, updates the "batch_stats" collection where there is one, and sows further terms
    of its paper's loss into "losses": scalars, already weighted, that the trainer adds. Each
    of several devices trains on its own clips (`pdr_jax.sharding.averaged_over_devices`): layers
    whose training mixes clips, or draws for them, are those of `layers.norm` and `layers.dropout`.

    Attributes:
      in_shape: (T, H, W, C) of the input clip; T is fixed, the horizon is not.
      dtype: compute dtype; None follows the frames. Parameters are float32 always.
      remat: whether the gradient keeps no more than what blocks and time steps begin with, and
        computes these again.
    """

    in_shape: tuple[int, ...]
    dtype: DTypeLike | None = None
    remat: bool = False

    card: ClassVar[Card]

    @property
    def output_range(self) -> tuple[float, float] | None:
        """The smallest and the largest value that the backbone can predict; None if unbounded."""
        return None

    def check(self) -> None:
        """Raises ValueError or TypeError, naming the field, where a setting is impossible."""
        if len(self.in_shape) != 4:
            raise ValueError(f"in_shape = {self.in_shape} must be (T, H, W, C)")
        for axis, size in zip("THWC", self.in_shape, strict=True):
            at_least(f"in_shape's {axis}", size, 1)
        self._check_dtype()
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(field.default, bool) and not isinstance(value, bool):
                raise TypeError(f"{field.name} = {value!r} must be True or False")
            if isinstance(field.default, float):
                number(field.name, value)

    def _check_dtype(self) -> None:
        if self.dtype is None:
            return
        try:
            known = jnp.issubdtype(jnp.dtype(self.dtype), jnp.floating)
        except TypeError:
            known = False
        if not known:
            raise TypeError(
                f"dtype = {self.dtype!r} must be a floating point type, e.g. 'bfloat16', or None"
            )

    def frames_divisible(self, by: int, why: str) -> None:
        """Raises FrameSizeError if `by` does not divide in_shape's H and W; `why` says why."""
        for axis, size in zip("HW", self.in_shape[1:3], strict=True):
            try:
                divisible(f"in_shape's {axis}", size, by, why)
            except ValueError as error:
                raise FrameSizeError(str(error)) from None

    def check_frames(self, frames: Array) -> None:
        """Raises ValueError or TypeError if `frames` are not what the backbone was built for."""
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

    def check_horizon(self, horizon: int | None) -> int:
        """The horizon, by default in_shape's T; raises unless it is a positive integer."""
        return self.in_shape[0] if horizon is None else at_least("horizon", horizon, 1)


class ClipPredictor(Backbone):
    """A backbone that predicts a whole clip at once; subclasses implement `predict_clip`."""

    @property
    def clip_length(self) -> int:
        """Frames that one pass predicts: T, unless a subclass overrides it."""
        return self.in_shape[0]

    def predict_clip(self, frames: Array, train: bool) -> Array:
        """The `clip_length` frames that follow `frames` (B, T, H, W, C)."""
        raise NotImplementedError

    def __call__(self, frames: Array, horizon: int | None = None, train: bool = False) -> Array:
        """Predicts the frames that follow.

        A horizon shorter than `clip_length` keeps the first predicted frames; a longer one feeds
        the prediction back as the next pass's input.

        Args:
          frames: (B, T, H, W, C) with T, H, W, C as `in_shape`, floating point.
          horizon: number of frames to predict, in_shape's T by default.
          train: whether to apply dropout, and to use and update the batch's statistics.

        Returns:
          (B, horizon, H, W, C) in the dtype of `frames`.

        Raises:
          ValueError: if the frames do not fit `in_shape`, or the horizon is not positive.
          TypeError: if the frames are not floating point.
        """
        self.check_frames(frames)
        horizon = self.check_horizon(horizon)
        passes = math.ceil(horizon / self.clip_length)
        if passes == 1:
            return self._predict(frames, train)[:, :horizon]
        if train:
            clips = self._roll_out(frames, passes)
        else:
            if self.is_initializing():  # one pass makes every variable
                self._predict(frames, train)
            clips = self._scan(frames, passes)
        return clips.reshape(frames.shape[0], -1, *frames.shape[2:])[:, :horizon]

    def _predict(self, frames: Array, train: bool) -> Array:
        return self.predict_clip(frames, train).astype(frames.dtype)

    def _roll_out(self, frames: Array, passes: int) -> Array:
        """Training passes one after the other, (B, passes, clip_length, H, W, C).

        Unrolled: XLA's CPU back end takes longer for the gradient of a scan.
        """
        clips = []
        for _ in range(passes):
            clips.append(self._predict(frames, train=True))
            frames = _latest(frames, clips[-1])
        return jnp.stack(clips, axis=1)

    def _scan(self, frames: Array, passes: int) -> Array:
        """Evaluation passes as a scan, so that a long horizon compiles one pass and not many."""

        def advance(module: ClipPredictor, clip: Array, _: None) -> tuple[Array, Array]:
            following = module._predict(clip, train=False)
            return _latest(clip, following), following

        scan = nn.scan(
            advance,
            variable_broadcast=("params", "batch_stats"),
            split_rngs={"params": False},
            out_axes=1,
            length=passes,
        )
        return scan(self, frames, None)[1]


class FramePredictor(Backbone):
    """A backbone that predicts the next frame from the last one and a state.

    Subclasses implement `start` and `step`. In training it also sows its predictions of observed
    frames, which are part of the recurrent models' losses, into the collection "warmup": those of
    the last T - 1 - `first_scored` frames, (B, T - 1 - first_scored, H, W, C).
    """

    @property
    def first_scored(self) -> int:
        """Number of first predictions that the loss leaves out: those from too few frames."""
        return 0

    def start(self, frames: Array) -> State:
        """The state before the first of `frames` (B, T, H, W, C)."""
        raise NotImplementedError

    def step(self, state: State, frame: Array, train: bool) -> tuple[State, Array]:
        """The state after `frame` (B, H, W, C), and the frame that follows.

        The new state has the shapes and dtypes of the old one.
        """
        raise NotImplementedError

    def __call__(
        self,
        frames: Array,
        horizon: int | None = None,
        train: bool = False,
        forcing: Forcing | None = None,
    ) -> Array:
        """Predicts the frames that follow.

        Args:
          frames: (B, T, H, W, C) with T, H, W, C as `in_shape`, floating point.
          horizon: number of frames to predict, in_shape's T by default.
          train: whether to apply dropout, and to use and update the batch's statistics.
          forcing: true frames to see; None: the observed ones, then the backbone's own.

        Returns:
          (B, horizon, H, W, C) in the dtype of `frames`.

        Raises:
          ValueError: if the frames do not fit `in_shape`, the horizon is not positive, or the
            forcing does not fit both.
          TypeError: if the frames are not floating point, or forcing.given is not bool.
        """
        self.check_frames(frames)
        horizon = self.check_horizon(horizon)
        if forcing is not None:
            _check_forcing(forcing, frames, horizon)
        state = self.start(frames)
        if self.is_initializing():  # one step makes every variable, and compiles sooner
            following = self._step(state, frames[:, 0], train)[1]
            return jnp.broadcast_to(
                following[:, None], (frames.shape[0], horizon, *frames.shape[2:])
            )
        _, predicted = self.unroll(state, frames, horizon, train, forcing)
        warmup = frames.shape[1] - 1
        if train:
            self.sow("warmup", "frames", predicted[:, self.first_scored : warmup])
        return predicted[:, warmup:]

    def unroll(
        self,
        state: State,
        frames: Array,
        horizon: int,
        train: bool = False,
        forcing: Forcing | None = None,
    ) -> tuple[State, Array]:
        """Runs on from a state: the state at the end, and every prediction.

        A scan over time, so that compile time does not grow with the horizon. Step t sees frame t
        and predicts frame t + 1; with T = 3 and horizon = 2:

            sees       frame 1    frame 2    frame 3    own 4, or true where `forcing` gives it
            predicts   frame 2    frame 3    frame 4    frame 5

        Args:
          state: as `start` makes it.
          frames: (B, T, H, W, C) observed frames.
          horizon: frames to predict after them.
          train: as in `__call__`.
          forcing: as in `__call__`.

        Returns:
          The state, and (B, T + horizon - 1, H, W, C): predictions of the frames 2..T + horizon.
        """
        batch, length = frames.shape[:2]
        steps = length + horizon - 1
        if forcing is None:
            future = jnp.zeros((batch, horizon, *frames.shape[2:]), frames.dtype)
            given = jnp.broadcast_to(jnp.arange(steps) < length, (batch, steps))
        else:
            future, given = forcing.frames.astype(frames.dtype), forcing.given
        seen = jnp.concatenate([frames, future], axis=1)[:, :steps]

        def advance(
            module: FramePredictor, carry: tuple[State, Array], inputs: tuple[Array, Array]
        ) -> tuple[tuple[State, Array], Array]:
            state, own = carry
            true, given = inputs
            frame = jnp.where(given.reshape(-1, 1, 1, 1), true, own)
            state, following = module._step(state, frame, train)
            return (state, following), following

        scan = nn.scan(
            nn.remat(advance, prevent_cse=False) if self.remat else advance,
            variable_broadcast="params" if train else ("params", "batch_stats"),
            variable_carry="batch_stats" if train else False,
            variable_axes={"losses": 0},
            split_rngs={"params": False, "dropout": True},
            in_axes=1,
            out_axes=1,
        )
        # The first step sees a true frame whatever `given` says: its "own" is that frame.
        (after, _), predicted = scan(self, (state, frames[:, 0]), (seen, given))
        if train:
            self.sow_losses(state, after, steps)
        return after, predicted

    def sow_losses(self, before: State, after: State, steps: int) -> None:
        """Sows terms of the paper's loss other than errors of frames, once a training pass.

        Args:
          before: the state before the first step.
          after: the state after the last.
          steps: number of steps between the two.
        """

    def _step(self, state: State, frame: Array, train: bool) -> tuple[State, Array]:
        following_state, following = self.step(state, frame, train)
        return (
            jax.tree.map(lambda new, old: new.astype(old.dtype), following_state, state),
            following.astype(frame.dtype),
        )


def _check_forcing(forcing: Forcing, frames: Array, horizon: int) -> None:
    batch, length, *frame = frames.shape
    for field, expected in (
        ("frames", (batch, horizon, *frame)),
        ("given", (batch, length + horizon - 1)),
    ):
        shape = jnp.shape(getattr(forcing, field))
        if shape != expected:
            raise ValueError(
                f"forcing.{field} has shape {shape}; expected {expected} for frames of shape "
                f"{frames.shape} and horizon = {horizon}"
            )
    if forcing.given.dtype != bool:
        raise TypeError(f"forcing.given has dtype {forcing.given.dtype}; expected bool")


def _latest(frames: Array, following: Array) -> Array:
    """The last T of the frames (B, T, H, W, C) and those that follow them."""
    return jnp.concatenate([frames, following], axis=1)[:, -frames.shape[1] :]
