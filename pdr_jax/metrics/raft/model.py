"""The model: from two frames to the optical flow between them.

Modules have the names of the public code's parameters, dots included.
"""

import dataclasses
from typing import Literal

import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Float

from pdr_jax.metrics.raft import upsampling
from pdr_jax.metrics.raft.correlation import correlation_pyramid, look_up
from pdr_jax.metrics.raft.encoder import Encoder, Norm
from pdr_jax.metrics.raft.update import GRU, Head, MotionEncoder


@dataclasses.dataclass(frozen=True)
class Size:
    """What distinguishes the full from the small model.

    Attributes:
      widths: of the encoders' blocks.
      bottleneck: whether these are bottlenecks.
      features: that are correlated.
      hidden: channels of the recurrent state.
      context: channels of what the first frame tells every step.
      context_norm: of the encoder that finds the state and the context.
      radius: of the window of correlations, in pixels of each level.
      motion: output channels of the motion encoder.
      correlation: widths inside it.
      flow: widths inside it.
      kernels: of the recurrent units.
      head: width of the head that changes the flow.
      mask: width of the head that weighs the upsampling; 0 interpolates instead.
    """

    widths: tuple[int, int, int]
    bottleneck: bool
    features: int
    hidden: int
    context: int
    context_norm: Norm
    radius: int
    motion: int
    correlation: tuple[int, ...]
    flow: tuple[int, int]
    kernels: tuple[tuple[str, tuple[int, int]], ...]
    head: int
    mask: int


SIZES: dict[Literal["full", "small"], Size] = {
    "full": Size(
        widths=(64, 96, 128),
        bottleneck=False,
        features=256,
        hidden=128,
        context=128,
        context_norm="batch",
        radius=4,
        motion=128,
        correlation=(256, 192),
        flow=(128, 64),
        kernels=(("1", (1, 5)), ("2", (5, 1))),
        head=256,
        mask=256,
    ),
    "small": Size(
        widths=(32, 64, 96),
        bottleneck=True,
        features=128,
        hidden=96,
        context=64,
        context_norm="none",
        radius=3,
        motion=82,
        correlation=(96,),
        flow=(64, 32),
        kernels=(("", (3, 3)),),
        head=128,
        mask=0,
    ),
}


class UpdateBlock(nn.Module):
    """A recurrent step: the next state, and the change of the flow that it holds."""

    size: Size

    @nn.compact
    def __call__(
        self, hidden: Array, context: Array, correlation: Array, flow: Array
    ) -> tuple[Array, Array]:
        """All (N, h, w, ...); `flow` in pixels of the features."""
        size = self.size
        motion = MotionEncoder(size.motion, size.correlation, size.flow, name="encoder")
        inputs = jnp.concatenate([context, motion(correlation, flow)], -1)
        hidden = GRU(size.kernels, name="gru")(hidden, inputs)
        return hidden, Head(size.head, 2, 3, ("conv1", "conv2"), name="flow_head")(hidden)


class RAFT(nn.Module):
    """Optical flow.

    Attributes:
      size: of `SIZES`.
      iterations: of the recurrent step.
    """

    size: Size
    iterations: int

    @nn.compact
    def __call__(
        self, first: Float[Array, "N H W 3"], second: Float[Array, "N H W 3"]
    ) -> Float[Array, "N H W 2"]:
        """The flow (dx, dy) from first to second frames, in pixels.

        Args:
          first: RGB in [0, 255]; H and W are multiples of 8 and at least 128.
          second: like first.
        """
        size = self.size
        frames = 2 * (jnp.concatenate([first, second]) / 255) - 1
        encode = Encoder(size.features, size.widths, "instance", size.bottleneck, name="fnet")
        levels = correlation_pyramid(*jnp.split(encode(frames), 2))
        encode = Encoder(
            size.hidden + size.context,
            size.widths,
            size.context_norm,
            size.bottleneck,
            name="cnet",
        )
        hidden, context = jnp.split(encode(frames[: len(first)]), [size.hidden], axis=-1)
        hidden, context = jnp.tanh(hidden), nn.relu(context)
        rows, columns = jnp.mgrid[: hidden.shape[1], : hidden.shape[2]]
        grid = jnp.stack([columns, rows], -1)[None].astype(jnp.float32)

        def step(
            update: UpdateBlock, carry: tuple[Array, Array], _: None
        ) -> tuple[tuple[Array, Array], None]:
            hidden, flow = carry
            seen = look_up(levels, grid + flow, size.radius)
            hidden, change = update(hidden, context, seen, flow)
            return (hidden, flow + change), None

        repeat = nn.scan(
            step,
            variable_broadcast="params",
            split_rngs={"params": False},
            length=self.iterations,
        )
        start = hidden, jnp.zeros((*hidden.shape[:3], 2))
        (hidden, flow), _ = repeat(UpdateBlock(size, name="update_block"), start, None)
        if not size.mask:
            return upsampling.bilinear(flow)
        head = Head(size.mask, upsampling.MASK, 1, ("0", "2"), name="update_block.mask")
        return upsampling.convex(flow, 0.25 * head(hidden))
