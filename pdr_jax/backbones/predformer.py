"""PredFormer: gated transformers over space and time, in nine orders (arXiv 2410.04733).

No convolution anywhere: frames are cut into patches, and every patch of every frame is a token.
"""

import functools
from collections.abc import Callable

import jax
import numpy as np
from einops import rearrange
from flax import linen as nn
from jax import Array
from jax.typing import DTypeLike

from pdr_jax.backbones.base import Card, ClipPredictor
from pdr_jax.backbones.checks import at_least, fraction, one_of
from pdr_jax.backbones.layers.attention import SelfAttention
from pdr_jax.backbones.layers.dropout import Dropout, stochastic_depth
from pdr_jax.backbones.layers.initializers import trunc_normal_002
from pdr_jax.backbones.layers.linear import Linear
from pdr_jax.backbones.layers.norm import layer_norm
from pdr_jax.backbones.layers.patches import patchify
from pdr_jax.backbones.layers.remat import recompute

# Variant -> the transformers of one layer, in their order. A triplet's first and second are of one
# kind; a quadruplet is the two binary layers, one after the other.
STAGES = {
    "full_attention": ("joint",),
    "fac_st": ("space", "time"),
    "fac_ts": ("time", "space"),
    "binary_st": ("st_space", "st_time"),
    "binary_ts": ("ts_time", "ts_space"),
    "triplet_sts": ("space_first", "time", "space_second"),
    "triplet_tst": ("time_first", "space", "time_second"),
    "quadruplet_stts": ("st_space", "st_time", "ts_time", "ts_space"),
    "quadruplet_tsst": ("ts_time", "ts_space", "st_space", "st_time"),
}
# What a transformer attends over, from tokens (b, t, n, d): a frame, a place, or the clip.
SEQUENCES = {"space": "(b t) n d", "time": "(b n) t d", "joint": "b (t n) d"}


def is_layered(variant: str) -> bool:
    """Whether a variant repeats a layer, rather than blocks within each of its transformers."""
    return variant.startswith(("binary", "triplet", "quadruplet"))


def sinusoid(count: int, dim: int) -> np.ndarray:
    """(count, dim) float32: sines and cosines of the position, in turn, of falling frequency."""
    channel = np.arange(dim)
    wavelength = 10000.0 ** (2 * (channel // 2) / dim)
    angle = np.divide.outer(np.arange(count), wavelength).astype(np.float32)
    return np.where(channel % 2 == 0, np.sin(angle), np.cos(angle))


class SwiGLU(nn.Module):
    """contract(silu(gate(x)) * value(x)), with dropout before and after the last linear layer.

    Attributes:
      hidden: width of gate and value.
      drop: dropout rate.
      dtype: compute dtype.
    """

    hidden: int
    drop: float
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Maps (..., C) to the same shape."""
        linear = functools.partial(Linear, initializer=trunc_normal_002, dtype=self.dtype)
        dropout = Dropout(self.drop, deterministic=not train)
        gate = jax.nn.silu(linear(self.hidden, name="gate")(x))
        y = dropout(gate * linear(self.hidden, name="value")(x))
        return dropout(linear(x.shape[-1], name="contract")(y))


class GatedBlock(nn.Module):
    """x + SelfAttention(LN x), then x + SwiGLU(LN x), with drop path on both branches.

    Attributes:
      heads: number of heads.
      dim_head: width of a head.
      hidden: width of the SwiGLU's gate and value.
      dropout: within the SwiGLU.
      attn_dropout: after the attention.
      drop_path: stochastic depth of both branches.
      dtype: compute dtype.
    """

    heads: int
    dim_head: int
    hidden: int
    dropout: float
    attn_dropout: float
    drop_path: float
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Transforms `x` (N, L, C) to the same shape."""
        norm = functools.partial(layer_norm, dtype=self.dtype)
        attention = SelfAttention(
            self.heads,
            self.dim_head,
            qkv_bias=False,
            drop=self.attn_dropout,
            dtype=self.dtype,
            name="attention",
        )
        mlp = SwiGLU(self.hidden, self.dropout, self.dtype, name="mlp")
        drop_path = stochastic_depth(self.drop_path, train, ndim=3)
        x = x + drop_path(attention(norm(name="attention_norm")(x), train))
        return x + drop_path(mlp(norm(name="mlp_norm")(x), train))


class GatedTransformer(nn.Module):
    """`depth` blocks, then a LayerNorm.

    Attributes:
      block: block(name=) makes a module called as module(x, train).
      depth: number of blocks.
      dtype: compute dtype.
      remat: whether the blocks are computed again for their gradient.
    """

    block: Callable[..., nn.Module]
    depth: int
    dtype: DTypeLike | None = None
    remat: bool = False

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Transforms `x` (N, L, C) to the same shape."""
        for i in range(self.depth):
            x = recompute(self.block(name=f"block_{i}"), x, train=train, when=self.remat)
        return layer_norm(dtype=self.dtype, name="norm")(x)


class Encoder(nn.Module):
    """The transformers of a variant, in their order.

    Attributes:
      variant: one of `STAGES`.
      transformer: transformer(name=) makes a module from (N, L, C) to the same shape.
      layers: how often the order is repeated, with other parameters.
      residual: whether a layer adds its input to its output.
      faithful: as `PredFormer`.
    """

    variant: str
    transformer: Callable[..., nn.Module]
    layers: int
    residual: bool
    faithful: bool

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Transforms tokens `x` (B, T, N, C) to the same shape."""
        for i in range(self.layers):
            y = x
            for stage in STAGES[self.variant]:
                name = f"layer_{i}_{stage}" if is_layered(self.variant) else stage
                y = self._attend(name, y, train)
            x = x + y if self.residual else y
        if self.faithful and self.variant == "fac_st":
            x = rearrange(x, "b t n d -> b n t d").reshape(x.shape)
        return x

    def _attend(self, name: str, x: Array, train: bool) -> Array:
        sequence = next(order for kind, order in SEQUENCES.items() if kind in name)
        batch, length, _, _ = x.shape
        x = rearrange(x, f"b t n d -> {sequence}")
        x = self.transformer(name=name)(x, train)
        return rearrange(x, f"{sequence} -> b t n d", b=batch, t=length)


class PredFormer(ClipPredictor):
    """Patches as tokens, a fixed table of positions, gated transformers, patches.

    Attributes:
      variant: over what the transformers attend, and in which order, one of `STAGES`: the full
        clip; or space (s) and time (t), factorised into one deep transformer each, or in layers
        of two, three or four.
      patch_size: side of the patches, in pixels.
      dim: width of the tokens.
      heads: heads of the attention.
      dim_head: width of a head.
      scale_dim: width of the SwiGLUs over that of the tokens.
      Ndepth: layers; blocks of each transformer where the variant has no layers.
      depth: blocks of each transformer within a layer.
      dropout: within the SwiGLUs.
      attn_dropout: after the attention.
      drop_path: stochastic depth, the same in all blocks.
      residual: whether a layer adds its input to its output (the published Human3.6M triplets).
      faithful: whether fac_st scrambles its tokens as the public code does, see `card`.
    """

    variant: str = "quadruplet_tsst"
    patch_size: int = 4
    dim: int = 256
    heads: int = 8
    dim_head: int = 32
    scale_dim: int = 4
    Ndepth: int = 2
    depth: int = 1
    dropout: float = 0.0
    attn_dropout: float = 0.0
    drop_path: float = 0.0
    residual: bool = False
    faithful: bool = False

    card = Card(
        title="Video Prediction Transformers without Recurrence or Convolution",
        venue="arXiv 2024",
        link="https://arxiv.org/abs/2410.04733",
        source="PredFormer b73c7ae8",
        faithful="The position of a token is one number: its place in the clip, frame by frame and "
        "row by row. attn_dropout drops what the attention returns, not its weights. The SwiGLUs "
        "start as the other linear layers: their own initial values are defined and never drawn.",
        corrected="fac_st's last transformer has its tokens ordered by place, then time; the "
        "public code reads them as ordered by time, then place, so that nearly every patch is "
        "drawn at another place and time. faithful=True does the same.",
    )

    def check(self) -> None:
        """Raises ValueError or TypeError, naming the field, where a setting is impossible."""
        super().check()
        one_of("variant", self.variant, STAGES)
        for field in ("patch_size", "dim", "heads", "dim_head", "scale_dim", "Ndepth", "depth"):
            at_least(field, getattr(self, field), 1)
        self.frames_divisible(self.patch_size, "patch_size; choose another")
        for field in ("dropout", "attn_dropout", "drop_path"):
            fraction(field, getattr(self, field))
        if self.residual and not is_layered(self.variant):
            raise ValueError(f"residual = True needs layers, which {self.variant} does not have")

    def setup(self) -> None:
        """Builds the parts."""
        self.check()
        layers, depth = (self.Ndepth, self.depth) if is_layered(self.variant) else (1, self.Ndepth)
        block = functools.partial(
            GatedBlock,
            heads=self.heads,
            dim_head=self.dim_head,
            hidden=self.dim * self.scale_dim,
            dropout=self.dropout,
            attn_dropout=self.attn_dropout,
            drop_path=self.drop_path,
            dtype=self.dtype,
        )
        transformer = functools.partial(
            GatedTransformer, block=block, depth=depth, dtype=self.dtype, remat=self.remat
        )
        self.embed = Linear(self.dim, dtype=self.dtype)
        self.encoder = Encoder(self.variant, transformer, layers, self.residual, self.faithful)
        self.head_norm = layer_norm(dtype=self.dtype)
        self.head = Linear(self.in_shape[-1] * self.patch_size**2, dtype=self.dtype)

    def predict_clip(self, frames: Array, train: bool) -> Array:
        """One pass, (B, T, H, W, C) -> the same shape."""
        patches = patchify(frames, self.patch_size)
        rows, columns = patches.shape[2:4]
        x = self.embed(rearrange(patches, "b t h w c -> b t (h w) c"))
        positions = sinusoid(x.shape[1] * x.shape[2], self.dim).reshape(1, *x.shape[1:])
        x = self.encoder(x + positions.astype(x.dtype), train)
        return rearrange(
            self.head(self.head_norm(x)),
            "b t (h w) (c p q) -> b t (h p) (w q) c",
            h=rows,
            w=columns,
            p=self.patch_size,
            q=self.patch_size,
        )
