"""MAU: a motion-aware unit (NeurIPS 2021), whose memory of motion attends over its own past."""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jax.typing import DTypeLike

from pdr_jax.backbones.base import Card, FramePredictor
from pdr_jax.backbones.checks import at_least, integers, odd
from pdr_jax.backbones.layers.conv import Conv
from pdr_jax.backbones.layers.conv_transpose import enlarging
from pdr_jax.backbones.layers.norm import map_norm
from pdr_jax.backbones.layers.patches import patchify, unpatchify

leaky_relu = functools.partial(jax.nn.leaky_relu, negative_slope=0.2)


class Memory(NamedTuple):
    """What one unit remembers of the last tau frames, the newest last; zeros before the first.

    Attributes:
      temporal: (B, tau, h, w, C), the unit's states, which carry the motion.
      spatial: (B, tau, h, w, C), its inputs of the same steps, which carry the appearance.
    """

    temporal: Array
    spatial: Array

    def followed_by(self, temporal: Array, spatial: Array) -> "Memory":
        """The memory one step later, with a new state and the input (B, h, w, C) it came from."""
        return Memory(
            jnp.concatenate([self.temporal[:, 1:], temporal[:, None]], axis=1),
            jnp.concatenate([self.spatial[:, 1:], spatial[:, None]], axis=1),
        )


class NormedConv(nn.Module):
    """Convolution, then a layer norm over space and channels with a gain and bias per position."""

    features: int
    filter_size: int
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps (B, h, w, C) to (B, h, w, features)."""
        x = Conv(self.features, self.filter_size, dtype=self.dtype, name="conv")(x)
        return map_norm(x.ndim, self.dtype, "norm")(x)


class MotionAwareUnit(nn.Module):
    """One recurrent cell.

    Attention over the remembered frames, by the likeness of their appearance to the present one's,
    gives the trend of the motion. The last temporal state is fused with it; then the temporal and
    the spatial stream each keep a part of themselves and take the rest from the other.

    Attributes:
      filter_size: side of the convolutions.
      residual: whether the spatial input is added to the spatial output.
      dtype: compute dtype.
    """

    filter_size: int
    residual: bool
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, memory: Memory, spatial: Array) -> tuple[Memory, Array]:
        """The memory after the input `spatial` (B, h, w, C), and the output of that shape."""
        width = spatial.shape[-1]
        conv = functools.partial(NormedConv, filter_size=self.filter_size, dtype=self.dtype)
        temporal = memory.temporal[:, -1]

        trend = recall(memory, query=conv(width, name="query")(spatial))
        gate = jax.nn.sigmoid(conv(width, name="fusion_gate")(temporal))
        fused = gate * temporal + (1 - gate) * trend

        moving = conv(3 * width, name="from_temporal")(fused)
        still = conv(3 * width, name="from_spatial")(spatial)
        temporal_gate, temporal_kept, temporal_given = jnp.split(moving, 3, axis=-1)
        spatial_gate, spatial_given, spatial_kept = jnp.split(still, 3, axis=-1)
        new = mix(temporal_gate, temporal_kept, spatial_given)
        out = mix(spatial_gate, spatial_kept, temporal_given)
        if self.residual:
            out = out + spatial
        return memory.followed_by(new, spatial), out


def recall(memory: Memory, query: Array) -> Array:
    """The remembered temporal states, averaged by how well their inputs match the query.

    Args:
      memory: of tau steps.
      query: (B, h, w, C), compared by scaled inner products.

    Returns:
      (B, h, w, C).
    """
    wide = jnp.promote_types(query.dtype, jnp.float32)
    scores = jnp.einsum("bthwc,bhwc->bt", memory.spatial, query, preferred_element_type=wide)
    weights = jax.nn.softmax(scores / math.sqrt(math.prod(query.shape[1:])))
    return jnp.einsum("bt,bthwc->bhwc", weights.astype(query.dtype), memory.temporal)


def mix(gate: Array, kept: Array, given: Array) -> Array:
    """`kept` where the gate's sigmoid is 1, `given` where it is 0."""
    share = jax.nn.sigmoid(gate)
    return share * kept + (1 - share) * given


class MAU(FramePredictor):
    """A convolutional encoder, motion-aware units one upon the other, and a decoder.

    The encoder is a 1x1 convolution and log2(sr_size) convolutions of stride 2, the decoder as
    many transposed convolutions and a 1x1 convolution.

    Attributes:
      num_hidden: channels of each unit; all equal, since a unit's output is the next one's input.
      filter_size: side of the units' convolutions, odd.
      patch_size: side of the cells of pixels that become channels before anything else.
      sr_size: by how much the encoder reduces the resolution, a power of 2.
      tau: how many past states a unit attends over.
      cell_mode: "residual" adds a unit's input to its output; "normal" does not.
      model_mode: "recall" adds the encoder's features to the decoder's; "normal" does not.
      faithful: have the weights `merge` and `conv_last_sr`, which the original never uses.
    """

    num_hidden: tuple[int, ...] = (64, 64, 64, 64)
    filter_size: int = 5
    patch_size: int = 1
    sr_size: int = 4
    tau: int = 5
    cell_mode: str = "normal"
    model_mode: str = "normal"
    faithful: bool = False

    card = Card(
        title="MAU: A Motion-Aware Unit for Video Prediction and Beyond",
        venue="NeurIPS 2021",
        link="https://openreview.net/forum?id=qwtfY-3ibt7",
        source="OpenSTL c74deb5d, method MAU",
        faithful="The attention's softmax counts the zero states before the first frame. The layer "
        "norms have a gain and a bias for every position, so the weights fit one frame size.",
        corrected="Two convolutions that nothing calls, merge and conv_last_sr, exist only with "
        "faithful=True. patch_size > 1, on which the original fails, works.",
    )

    def check(self) -> None:
        """Raises ValueError or TypeError, naming the field, where a setting is impossible."""
        super().check()
        if len(set(integers("num_hidden", self.num_hidden, 1))) != 1:
            raise ValueError(
                f"num_hidden = {self.num_hidden} must hold one width, once for every unit: "
                f"a unit's output is the next one's input"
            )
        for field in ("patch_size", "sr_size", "tau"):
            at_least(field, getattr(self, field), 1)
        odd("filter_size", self.filter_size)
        if self.sr_size & (self.sr_size - 1):
            raise ValueError(f"sr_size = {self.sr_size} must be a power of 2")
        self.frames_divisible(self.patch_size * self.sr_size, "patch x sr_size")
        for field, mode, other in (
            ("cell_mode", self.cell_mode, "residual"),
            ("model_mode", self.model_mode, "recall"),
        ):
            if mode not in ("normal", other):
                raise ValueError(f"{field} = {mode!r} must be 'normal' or {other!r}")

    def setup(self) -> None:
        """Makes the encoder, the units and the decoder."""
        self.check()
        width, halvings = self.num_hidden[0], int(math.log2(self.sr_size))
        pixel = self.patch_size**2 * self.in_shape[-1]
        conv = functools.partial(Conv, dtype=self.dtype)
        self.enter = conv(width)
        self.down = [conv(width, 3, stride=2) for _ in range(halvings)]
        self.units = [
            MotionAwareUnit(self.filter_size, self.cell_mode == "residual", self.dtype)
            for _ in self.num_hidden
        ]
        self.up = [enlarging(width, dtype=self.dtype) for _ in range(halvings)]
        self.readout = conv(pixel)
        if self.faithful:
            self.merge = conv(width)
            self.conv_last_sr = conv(pixel)

    def start(self, frames: Array) -> tuple[Memory, ...]:
        """Empty memories."""
        factor = self.patch_size * self.sr_size
        batch, _, height, width, _ = frames.shape
        shape = (batch, self.tau, height // factor, width // factor, self.num_hidden[0])
        nothing = jnp.zeros(shape, self.dtype or frames.dtype)
        return tuple(Memory(nothing, nothing) for _ in self.num_hidden)

    def step(
        self, state: tuple[Memory, ...], frame: Array, train: bool
    ) -> tuple[tuple[Memory, ...], Array]:
        """As the base says; behaves alike in training."""
        del train
        x = leaky_relu(self.enter(patchify(frame, self.patch_size)))
        features = []
        for down in self.down:
            features.append(x)
            x = leaky_relu(down(x))

        memories = []
        for unit, memory in zip(self.units, state, strict=True):
            memory, x = unit(memory, x)
            memories.append(memory)

        for i, up in enumerate(self.up):
            x = up(x)
            if i < len(self.up) - 1:
                x = leaky_relu(x)
            if self.model_mode == "recall":
                x = x + features.pop()
        x = self.readout(x)
        if self.faithful and self.is_initializing():
            self.merge(jnp.zeros((1, 1, 1, 2 * self.num_hidden[0])))
            self.conv_last_sr(jnp.zeros((1, 1, 1, 2 * x.shape[-1])))
        return tuple(memories), unpatchify(x, self.patch_size)
