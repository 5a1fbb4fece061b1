"""Earthformer (NeurIPS 2022): attention within cuboids of space and time, and to global vectors.

Convolutions turn frames into tokens. An encoder keeps a memory of them at each of several
resolutions. A decoder starts from learned positions and goes back through these resolutions,
attending to the memories. Convolutions turn its tokens into frames.
"""

import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jax.nn.initializers import normal

from pdr_jax.backbones.base import Card, ClipPredictor
from pdr_jax.backbones.checks import at_least, divisible, fraction, integers, one_of
from pdr_jax.backbones.layers.cuboid_attention import (
    CrossAttentionBlock,
    SelfAttentionBlock,
    Settings,
)
from pdr_jax.backbones.layers.cuboids import Size, cross_side, self_cuboids
from pdr_jax.backbones.layers.initializers import lecun_normal
from pdr_jax.backbones.layers.linear import Linear
from pdr_jax.backbones.layers.remat import recompute
from pdr_jax.backbones.layers.token_grid import (
    Enlarge,
    Merge,
    Painter,
    Sides,
    Stage,
    Tokenizer,
    coarser,
)

GROUPS = 16  # of the normalisation where initial_downsample_type is "conv"

_CHOICES = {
    "pos_embed_type": ("t+hw", "t+h+w"),
    "initial_downsample_type": ("conv", "stack_conv"),
}


class PositionEmbedding(nn.Module):
    """A learned vector for the time, plus one for the place or one each for row and column.

    Attributes:
      kind: "t+hw" or "t+h+w".
      size: frames, rows and columns of tokens.
      width: channels.
    """

    kind: str
    size: Size
    width: int

    @nn.compact
    def __call__(self) -> Array:
        """(1, T, H, W, width), float32."""
        length, height, width = self.size

        def embedding(name: str, t: int, h: int, w: int) -> Array:
            table = self.param(name, normal(0.02), (t * h * w, self.width))
            return table.reshape(1, t, h, w, self.width)

        time = embedding("time", length, 1, 1)
        if self.kind == "t+hw":
            return time + embedding("place", 1, height, width)
        return time + embedding("row", 1, height, 1) + embedding("column", 1, 1, width)


class Encoder(nn.Module):
    """Blocks of self-attention at each level; tokens merge and widen from one to the next.

    Attributes:
      depths: blocks of each level.
      pattern: of their attention.
      scale: rows and columns that merge, and the factor by which channels grow.
      settings: of the attention.
      updates: whether the very last attention updates the global vectors, which nothing reads.
      remat: whether the blocks are computed again for their gradient.
    """

    depths: tuple[int, ...]
    pattern: str
    scale: int
    settings: Settings
    updates: bool
    remat: bool = False

    @nn.compact
    def __call__(self, x: Array, vectors: Array | None, train: bool) -> list[Array]:
        """Memories of every level, from tokens (B, T, H, W, C) and vectors (B, N, C) or None."""
        dtype = self.settings.dtype
        memories: list[Array] = []
        for level, depth in enumerate(self.depths):
            if level:
                width = self.scale * x.shape[-1]
                merge = Merge(width, (self.scale, self.scale), dtype, name=f"merge_{level - 1}")
                x = merge(x)
                if vectors is not None:
                    vectors = Linear(width, dtype=dtype, name=f"widen_{level - 1}")(vectors)
            cuboids = self_cuboids(self.pattern, x.shape[1:4])
            for i in range(depth):
                last = level == len(self.depths) - 1 and i == depth - 1
                block = SelfAttentionBlock(
                    cuboids, self.settings, self.updates or not last, name=f"block_{level}_{i}"
                )
                x, vectors = recompute(block, x, vectors, train=train, when=self.remat)
            memories.append(x)
        return memories


class Decoder(nn.Module):
    """Blocks of self-attention and attention to the memory at each level, from coarse to fine.

    The coarsest level begins with the memory and so has one block of self-attention fewer.

    Attributes:
      depths: blocks of each level, the finest first.
      self_pattern: of the attention to itself.
      cross_pattern: of the attention to the memory.
      last_frames: of the memory that can be attended to; None for all.
      cuboid_frames: length of the clip for which the self-attention's cuboids are made.
      settings: of the attention.
      remat: whether the blocks are computed again for their gradient.
    """

    depths: tuple[int, ...]
    self_pattern: str
    cross_pattern: str
    last_frames: int | None
    cuboid_frames: int
    settings: Settings
    remat: bool = False

    @nn.compact
    def __call__(self, x: Array, memories: list[Array], train: bool) -> Array:
        """Tokens as fine as the first memory, from (B, T', H, W, C) as coarse as the last."""
        top = len(self.depths) - 1
        reach = x.shape[1] + memories[0].shape[1]
        for level in range(top, -1, -1):
            memory = memories[level]
            if level < top:
                _, _, height, width, channels = memory.shape
                enlarge = Enlarge(
                    channels, (height, width), self.settings.dtype, name=f"enlarge_{level}"
                )
                x = enlarge(x)
            cuboids = self_cuboids(self.self_pattern, (self.cuboid_frames, *x.shape[2:4]))
            side = cross_side(self.cross_pattern, x.shape[1:4])
            seen = memory if self.last_frames is None else memory[:, -self.last_frames :]
            for i in range(self.depths[level]):
                own = i if level < top else i - 1
                if own >= 0:
                    name = f"self_{level}_{own}"
                    block = SelfAttentionBlock(cuboids, self.settings, name=name)
                    x, _ = recompute(block, x, None, train=train, when=self.remat)
                cross = CrossAttentionBlock(side, reach, self.settings, name=f"cross_{level}_{i}")
                x = recompute(cross, x, seen, train=train, when=self.remat)
        return x


class Earthformer(ClipPredictor):
    """Earthformer; the defaults are its Moving MNIST configuration.

    Frames may have any size: zeros fill up what merging or cuboids do not divide.

    Attributes:
      out_len: frames that one pass predicts, in_shape's T by default. (The published SEVIR model
        predicts 12 frames from 13, the ENSO model 14 from 12.)
      base_units: channels at the finest level of tokens; each coarser one has `downsample` times
        as many.
      num_heads: heads of every attention.
      enc_depth: blocks at each level of the encoder, the finest first.
      dec_depth: likewise of the decoder.
      downsample: rows and columns of tokens that become one between levels.
      num_global_vectors: vectors that see the whole clip and that all tokens see; 0 for none.
      self_pattern: cuboids of the encoder's attention: "axial", "divided_st", "video_swin_PxM"
        or "full", see layers/cuboids.py.
      cross_self_pattern: likewise of the decoder's attention to itself.
      cross_pattern: "cross_KxK": the decoder's tokens attend to the memory's in their KxK square.
      dec_cross_last_n_frames: number of the memory's last frames they attend to; None for all.
      attn_drop: dropout of the attention's weights.
      proj_drop: dropout after attention.
      ffn_drop: dropout within and after the MLPs.
      pos_embed_type: "t+hw", or "t+h+w" with fewer parameters.
      initial_downsample_type: "conv", one step from frames to tokens, or "stack_conv", several.
      initial_downsample_scale: conv: side of the patch that becomes a token, or (1, rows,
        columns).
      initial_downsample_conv_layers: conv: convolutions before that.
      final_upsample_conv_layers: conv: convolutions on the way back.
      initial_downsample_stack_conv_dim_list: stack_conv: channels of each step, the last one
        base_units.
      initial_downsample_stack_conv_downscale_list: stack_conv: side of each step's patches.
      initial_downsample_stack_conv_num_conv_list: stack_conv: convolutions of each step.
      faithful: compute what the public code computes, see `card`.
    """

    out_len: int | None = None
    base_units: int = 64
    num_heads: int = 4
    enc_depth: tuple[int, ...] = (4, 4)
    dec_depth: tuple[int, ...] = (4, 4)
    downsample: int = 2
    num_global_vectors: int = 0
    self_pattern: str = "axial"
    cross_self_pattern: str = "axial"
    cross_pattern: str = "cross_1x1"
    dec_cross_last_n_frames: int | None = None
    attn_drop: float = 0.1
    proj_drop: float = 0.1
    ffn_drop: float = 0.1
    pos_embed_type: str = "t+hw"
    initial_downsample_type: str = "conv"
    initial_downsample_scale: int | tuple[int, ...] = 2
    initial_downsample_conv_layers: int = 2
    final_upsample_conv_layers: int = 1
    initial_downsample_stack_conv_dim_list: tuple[int, ...] = (4, 16, 64)
    initial_downsample_stack_conv_downscale_list: tuple[int, ...] = (1, 2, 2)
    initial_downsample_stack_conv_num_conv_list: tuple[int, ...] = (2, 2, 2)
    faithful: bool = False

    card = Card(
        title="Earthformer: Exploring Space-Time Transformers for Earth System Forecasting",
        venue="NeurIPS 2022",
        link="https://arxiv.org/abs/2207.05833",
        source="amazon-science/earth-forecasting-transformer 7732b03b, CuboidTransformerModel",
        faithful="The zeros that fill up a cuboid are attended to. The convolutions around the "
        "transformer, and the layers that widen and project the global vectors, start as PyTorch's "
        "default; the other linear layers as N(0, 1 / fan-in). Left out is what no published "
        "configuration uses: global vectors in the decoder, with an MLP, with shared projections "
        "or of another width; dilated cuboids; cross attention in several frame groups or shifted; "
        "padding that is masked or repeats; other decoder inputs than positions; gated MLPs, "
        "RMSNorm, other activations. Another model is the one for EarthNet2021, which also sees "
        "weather forecasts (CuboidTransformerAuxModel).",
        corrected="The encoder's last attention does not update the global vectors, which nothing "
        "reads afterwards; the public code has parameters for that. The decoder's cuboids are made "
        "for the frames that it predicts, not for those that the encoder sees, which matters where "
        "out_len is not T. faithful=True brings both back. Cross attention fills up frames that "
        "its squares do not divide, as self-attention does; the public code stops there.",
    )

    def check(self) -> None:
        """Raises ValueError or TypeError, naming the field, where a setting is impossible."""
        super().check()
        for field, least in (
            ("base_units", 1), ("num_heads", 1), ("downsample", 1), ("num_global_vectors", 0),
            ("initial_downsample_conv_layers", 1), ("final_upsample_conv_layers", 0),
        ):  # fmt: skip
            at_least(field, getattr(self, field), least)
        for field in ("out_len", "dec_cross_last_n_frames"):
            if getattr(self, field) is not None:
                at_least(field, getattr(self, field), 1)
        for field in ("attn_drop", "proj_drop", "ffn_drop"):
            fraction(field, getattr(self, field))
        divisible("base_units", self.base_units, self.num_heads, "num_heads")
        for field, choices in _CHOICES.items():
            one_of(field, getattr(self, field), choices)
        self._check_patterns()
        self._check_lists("enc_depth", "dec_depth")
        self._check_stages()

    def _check_patterns(self) -> None:
        tokens = (1, 1, 1)
        for field, make in (
            ("self_pattern", self_cuboids),
            ("cross_self_pattern", self_cuboids),
            ("cross_pattern", cross_side),
        ):
            try:
                make(getattr(self, field), tokens)
            except ValueError as error:
                raise ValueError(f"{field}: {error}") from None

    def _check_lists(self, *fields: str) -> None:
        """Refuses anything but lists of positive integers of equal length."""
        for field in fields:
            integers(field, getattr(self, field), 1)
        lengths = [len(getattr(self, field)) for field in fields]
        if len(set(lengths)) > 1:
            raise ValueError(
                f"{', '.join(fields)} have {', '.join(map(str, lengths))} elements; "
                f"they must be equally long"
            )

    def _check_stages(self) -> None:
        if self.initial_downsample_type == "conv":
            divisible("base_units", self.base_units, GROUPS, "the groups of its normalisation")
            scale = self.initial_downsample_scale
            if isinstance(scale, tuple) and (len(scale) != 3 or scale[0] != 1):
                raise ValueError(f"initial_downsample_scale = {scale} must be (1, rows, columns)")
            for side in scale if isinstance(scale, tuple) else (scale,):
                at_least("initial_downsample_scale", side, 1)
            return
        prefix = "initial_downsample_stack_conv"
        self._check_lists(*(f"{prefix}_{s}_list" for s in ("dim", "downscale", "num_conv")))
        widths = self.initial_downsample_stack_conv_dim_list
        if widths[-1] != self.base_units:
            raise ValueError(
                f"{prefix}_dim_list = {widths} must end with base_units = {self.base_units}"
            )
        for width in widths:
            divisible(
                f"{prefix}_dim_list's", width, _groups(width), "a quarter of it, rounded down"
            )

    def _stages(self) -> tuple[Stage, ...]:
        """From frames to tokens."""
        if self.initial_downsample_type == "conv":
            scale = self.initial_downsample_scale
            rows, columns = scale[1:] if isinstance(scale, tuple) else (scale, scale)
            down, up = self.initial_downsample_conv_layers, self.final_upsample_conv_layers
            return (Stage(self.base_units, (rows, columns), down, up, GROUPS),)
        steps = zip(
            self.initial_downsample_stack_conv_dim_list,
            self.initial_downsample_stack_conv_downscale_list,
            self.initial_downsample_stack_conv_num_conv_list,
            strict=True,
        )
        return tuple(Stage(w, (side, side), n, n, _groups(w)) for w, side, n in steps)

    @property
    def clip_length(self) -> int:
        """Frames that one pass predicts."""
        return self.out_len or self.in_shape[0]

    @property
    def grids(self) -> tuple[Sides, ...]:
        """Rows and columns of tokens at each level, the finest first."""
        grid = self.in_shape[1:3]
        for stage in self._stages():
            grid = coarser(grid, stage.scale)
        levels = [grid]
        for _ in self.enc_depth[1:]:
            levels.append(coarser(levels[-1], (self.downsample, self.downsample)))
        return tuple(levels)

    def setup(self) -> None:
        """Builds the parts."""
        self.check()
        length, height, width, channels = self.in_shape
        stages, grids = self._stages(), self.grids
        top = self.base_units * self.downsample ** (len(grids) - 1)
        settings = Settings(
            self.num_heads, self.attn_drop, self.proj_drop, self.ffn_drop, self.dtype
        )
        # Named as in the public code, which numbers the steps from frames to tokens only there.
        several = self.initial_downsample_type == "stack_conv"
        self.tokenizer = Tokenizer(stages, several, self.dtype)
        self.seen_position = PositionEmbedding(
            self.pos_embed_type, (length, *grids[0]), self.base_units
        )
        if self.num_global_vectors:
            self.vectors = self.param(
                "vectors", normal(0.02), (self.num_global_vectors, self.base_units)
            )
        self.encoder = Encoder(
            self.enc_depth,
            self.self_pattern,
            self.downsample,
            settings,
            updates=self.faithful,
            remat=self.remat,
        )
        self.coming_position = PositionEmbedding(
            self.pos_embed_type, (self.clip_length, *grids[-1]), top
        )
        self.project = Linear(top, True, lecun_normal, self.dtype)
        self.decoder = Decoder(
            self.dec_depth,
            self.cross_self_pattern,
            self.cross_pattern,
            self.dec_cross_last_n_frames,
            length if self.faithful else self.clip_length,
            settings,
            self.remat,
        )
        self.painter = Painter(stages, several, (height, width), self.dtype)
        self.readout = Linear(channels, True, lecun_normal, self.dtype)

    def predict_clip(self, frames: Array, train: bool) -> Array:
        """One pass, (B, T, H, W, C) -> (B, clip_length, H, W, C)."""
        batch = frames.shape[0]
        x = self.tokenizer(frames)
        x = x + self.seen_position().astype(x.dtype)
        vectors = None
        if self.num_global_vectors:
            vectors = jnp.broadcast_to(self.vectors.astype(x.dtype), (batch, *self.vectors.shape))
        memories = self.encoder(x, vectors, train)
        start = self.project(self.coming_position().astype(x.dtype))
        start = jnp.broadcast_to(start, (batch, *start.shape[1:]))
        return self.readout(self.painter(self.decoder(start, memories, train)))


def _groups(width: int) -> int:
    """Groups of stack_conv's normalisation."""
    return max(1, width // 4)
