"""DMVFN: a dynamic multi-scale voxel flow network (CVPR 2023).

The next frame is a mixture of the last two, each warped by a flow; blocks refine both flows and the
mixture, and a router decides which blocks a pair of frames needs.
"""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jax.typing import DTypeLike

from pdr_jax.backbones.base import Card, Forcing, FramePredictor, State
from pdr_jax.backbones.checks import at_least, integers
from pdr_jax.backbones.layers.conv import Conv
from pdr_jax.backbones.layers.conv_transpose import ConvTranspose
from pdr_jax.backbones.layers.laplacian import laplacian_pyramid, most_levels
from pdr_jax.backbones.layers.linear import Linear
from pdr_jax.backbones.layers.per_channel import apply_gain
from pdr_jax.sharding import drawn_for_clips
from pdr_jax.warp import warp

FINE_WIDTH = 8


class ConvPReLU(nn.Module):
    """3x3 convolution, then max(x, 0) + slope min(x, 0) with a learned slope per channel."""

    features: int
    stride: int = 1
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps (N, H, W, C) to (N, H / stride, W / stride, features)."""
        x = Conv(self.features, 3, self.stride, dtype=self.dtype, name="conv")(x)
        slope = self.param("slope", nn.initializers.constant(0.25), (self.features,))
        return jnp.where(x >= 0, x, apply_gain(x, slope))


class MVFB(nn.Module):
    """Multi-scale voxel flow block: proposes a change of the flows and of the mixture.

    One path sees its input `scale` times smaller, the other at full resolution.

    Attributes:
      features: width of the first path; the other has 8 channels.
      scale: how much smaller the first path sees the frames.
      dtype: compute dtype.
    """

    features: int
    scale: int
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array, flow: Array) -> tuple[Array, Array]:
        """`x` (N, H, W, C) and `flow` (N, H, W, 4) -> changes (N, H, W, 4) and (N, H, W, 1)."""
        conv = functools.partial(ConvPReLU, dtype=self.dtype)
        _, height, width, _ = x.shape
        size = height // self.scale, width // self.scale

        y = jnp.concatenate([_resize(x, *size), _resize(flow, *size) / self.scale], axis=-1)
        y = conv(self.features // 2, 2, name="down_0")(y)
        y = down = conv(self.features, 2, name="down_1")(y)
        for i in range(3):
            y = conv(self.features, name=f"body_{i}")(y)
        y = conv(self.features // 4, name="squeeze")(y + down)
        y = _resize(y, height // 2, width // 2)

        fine = conv(FINE_WIDTH, 2, name="fine_0")(jnp.concatenate([x, flow], axis=-1))
        fine = conv(FINE_WIDTH, name="fine_1")(fine)
        change = ConvTranspose(5, 4, stride=2, padding=1, dtype=self.dtype, name="out")(
            jnp.concatenate([y, fine], axis=-1)
        ).astype(flow.dtype)
        return change[..., :4], change[..., 4:]


def _resize(x: Array, height: int, width: int) -> Array:
    """Bilinear between pixel centres, without smoothing before it shrinks."""
    shape = (x.shape[0], height, width, x.shape[-1])
    return jax.image.resize(x, shape, "bilinear", antialias=False)


class DMVFN(FramePredictor):
    """Predicts the next frame from the last two, the first frame standing in for one before it.

    H and W must be divisible by 4 times the largest scale. In training it also sows the paper's
    loss of every block's prediction, for every three consecutive known frames (observed, and true
    future ones where there is forcing). The trainer adds its loss of the prediction.

    Attributes:
      num_features: width of each block.
      scale: how much smaller each block sees the frames, besides seeing them as they are.
      routing_out_channels: width of the router.
      beta: share of the blocks that the router lets run, on average.
      gamma: weight of a block's loss over that of the next.
      faithful: the public code's behaviour, see the card.
    """

    num_features: tuple[int, ...] = (160, 160, 160, 80, 80, 80, 44, 44, 44)
    scale: tuple[int, ...] = (4, 4, 4, 2, 2, 2, 1, 1, 1)
    routing_out_channels: int = 32
    beta: float = 0.5
    gamma: float = 0.8
    faithful: bool = False

    card = Card(
        title="A Dynamic Multi-Scale Voxel Flow Network for Video Prediction",
        venue="CVPR 2023",
        link="https://arxiv.org/abs/2303.09875",
        source="OpenSTL OpenSTLv0.3.0 0a0f36c, method DMVFN",
        faithful="In training the router draws blocks at random, with straight-through gradients. "
        "The paper's VGG loss is left out, for its weights do not come with this library. The "
        "public code takes an optimiser step for every predicted frame.",
        corrected="In evaluation a block runs if its probability is at least a half, sample by "
        "sample. The public code draws at random there too, and the first sample's draw decides "
        "for its whole batch; if no block is drawn it repeats the older frame. It also clips the "
        "prediction to [0, 1], which changes only data that are not within it. faithful=True "
        "brings back all but the draw in evaluation. In training the trainer's loss of the last "
        "block's prediction, mean squared error by recipe, is added to the paper's Laplacian loss "
        "of all blocks, also with faithful=True.",
    )

    def check(self) -> None:
        """Raises ValueError or TypeError, naming the field, where a setting is impossible."""
        super().check()
        integers("num_features", self.num_features, 4)
        integers("scale", self.scale, 1)
        if len(self.scale) != len(self.num_features):
            raise ValueError(
                f"scale = {self.scale} and num_features = {self.num_features} must be as long, one "
                f"number for each block"
            )
        for i, scale in enumerate(self.scale):
            why = f"4 times scale[{i}]; lower the scale"
            self.frames_divisible(4 * scale, why)
        at_least("routing_out_channels", self.routing_out_channels, 1)
        for field in ("beta", "gamma"):
            if not 0 < getattr(self, field) <= 1:
                raise ValueError(f"{field} = {getattr(self, field)} must be in (0, 1]")

    @property
    def first_scored(self) -> int:
        """One, the prediction from the first frame alone; none where T is 1."""
        return min(1, self.in_shape[0] - 1)

    def setup(self) -> None:
        """Builds the router and the blocks."""
        self.check()
        conv = functools.partial(Conv, self.routing_out_channels, 3, dtype=self.dtype)
        self.router_in, self.router_out = conv(), conv()
        self.router_head = Linear(len(self.num_features), dtype=self.dtype)
        self.blocks = [
            MVFB(features, scale, self.dtype)
            for features, scale in zip(self.num_features, self.scale, strict=True)
        ]

    def start(self, frames: Array) -> State:
        """The first frame: there is none before it."""
        return frames[:, 0]

    def step(self, state: State, frame: Array, train: bool) -> tuple[State, Array]:
        """The frame itself, (B, H, W, C), and the frame that follows."""
        older = state
        gates = self.route(older, frame, train)
        prediction = self.block_predictions(older, frame, gates)[-1]
        if self.faithful and not train:
            prediction = jnp.where(gates.any(), prediction, older)
        return frame, prediction

    def __call__(
        self,
        frames: Array,
        horizon: int | None = None,
        train: bool = False,
        forcing: Forcing | None = None,
    ) -> Array:
        """Predicts the frames that follow, see `FramePredictor`."""
        prediction = super().__call__(frames, horizon, train, forcing)
        if train and not self.is_initializing():
            known = [frames] if forcing is None else [frames, forcing.frames.astype(frames.dtype)]
            self._sow_block_loss(jnp.concatenate(known, axis=1))
        return prediction

    def route(self, older: Array, newer: Array, train: bool) -> Array:
        """Which blocks run, (B, blocks): 1 or 0, in training with the probability's gradient."""
        chances = self.chances(older, newer)
        if train:
            key = self.make_rng("dropout")
            number = drawn_for_clips(lambda shape: jax.random.uniform(key, shape), chances.shape)
            drawn = (number < chances).astype(chances.dtype)
            return chances + jax.lax.stop_gradient(drawn - chances)
        gates = jnp.round(chances)
        return jnp.broadcast_to(gates[:1], gates.shape) if self.faithful else gates

    def chances(self, older: Array, newer: Array) -> Array:
        """The probability of each block, (B, blocks), whose mean is about `beta`."""
        x = jnp.concatenate([older, newer], axis=-1)
        x = self.router_out(jax.nn.relu(self.router_in(x))).mean(axis=(1, 2))
        x = self.router_head(x)
        score = jax.nn.sigmoid(x.astype(jnp.promote_types(x.dtype, jnp.float32)))
        share = score / (score.sum(axis=1, keepdims=True) + 1e-6)
        return jnp.clip(self.beta * len(self.num_features) * share, 0, 1)

    def block_predictions(self, older: Array, newer: Array, gates: Array) -> list[Array]:
        """The next frame according to each block: after those that ran before it, and its own.

        The last one's is what the blocks that ran predict together.

        Args:
          older: (B, H, W, C).
          newer: (B, H, W, C).
          gates: (B, blocks), 1 where a block runs, else 0.
        """
        # A flow accumulates, and is a position: not in bfloat16.
        precise = jnp.promote_types(newer.dtype, jnp.float32)
        flow = jnp.zeros((*newer.shape[:-1], 4), precise)
        mask = jnp.zeros((*newer.shape[:-1], 1), precise)
        warped = older, newer
        predictions = []
        for i, block in enumerate(self.blocks):
            seen = jnp.concatenate([older, newer, *warped, mask], axis=-1)
            flow_change, mask_change = block(seen, flow)
            own = self._warped(older, newer, flow + flow_change)
            predictions.append(self._mixed(*own, mask + mask_change))
            gate = gates[:, i].reshape(-1, 1, 1, 1)
            flow, mask = flow + gate * flow_change, mask + gate * mask_change
            warped = self._warped(older, newer, flow)
        return [*predictions[:-1], self._mixed(*warped, mask)]

    def _warped(self, older: Array, newer: Array, flow: Array) -> tuple[Array, Array]:
        return warp(older, flow[..., :2]), warp(newer, flow[..., 2:])

    def _mixed(self, older: Array, newer: Array, mask: Array) -> Array:
        share = jax.nn.sigmoid(mask).astype(newer.dtype)
        mixture = older * share + newer * (1 - share)
        return jnp.clip(mixture, 0, 1) if self.faithful else mixture

    def _sow_block_loss(self, clip: Array) -> None:
        length = clip.shape[1]
        if length < 3:
            return
        older, newer, target = (
            clip[:, i : length - 2 + i].reshape(-1, *clip.shape[2:]) for i in range(3)
        )
        predictions = self.block_predictions(older, newer, self.route(older, newer, train=True))
        levels = pyramid_levels(*clip.shape[2:4])
        loss = sum(
            self.gamma**later * laplacian_l1(prediction, target, levels)
            for later, prediction in enumerate(reversed(predictions))
        )
        self.sow("losses", "blocks", loss)


def pyramid_levels(height: int, width: int) -> int:
    """Levels of the loss's pyramid: 5, or 3 for frames up to 32 pixels, if the sides allow them."""
    published = 5 if min(height, width) > 32 else 3
    return min(published, most_levels(height), most_levels(width))


def laplacian_l1(prediction: Array, target: Array, levels: int) -> Array:
    """Mean absolute difference of two Laplacian pyramids, summed over their levels."""
    wide = jnp.promote_types(prediction.dtype, jnp.float32)
    details = laplacian_pyramid(prediction.astype(wide) - target.astype(wide), levels)
    return sum((jnp.abs(detail).mean() for detail in details), start=jnp.zeros((), wide))
