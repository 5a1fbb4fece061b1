"""Earthformer's attention: within cuboids of a clip, and to a few vectors that see all of it."""

import functools
import itertools
import operator
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from einops import rearrange
from flax import linen as nn
from jax import Array
from jax.nn.initializers import normal
from jax.typing import DTypeLike

from pdr_jax.backbones.layers.attention import score
from pdr_jax.backbones.layers.cuboids import (
    Cuboid,
    Size,
    cut,
    join,
    offsets,
    relative_index,
    shift_mask,
)
from pdr_jax.backbones.layers.dropout import Dropout
from pdr_jax.backbones.layers.initializers import lecun_normal
from pdr_jax.backbones.layers.linear import Linear
from pdr_jax.backbones.layers.mlp import Mlp
from pdr_jax.backbones.layers.norm import layer_norm


class Settings(NamedTuple):
    """What all the attention of a model has in common.

    Attributes:
      heads: number of heads.
      attn_drop: dropout of the attention's weights.
      proj_drop: dropout after the attention.
      ffn_drop: dropout within and after the MLPs.
      dtype: compute dtype.
    """

    heads: int
    attn_drop: float = 0.0
    proj_drop: float = 0.0
    ffn_drop: float = 0.0
    dtype: DTypeLike | None = None


class SelfAttentionBlock(nn.Module):
    """Attention within each of several kinds of cuboid, an MLP after each.

    Attributes:
      cuboids: one kind for each attention.
      settings: see `Settings`.
      updates: whether the last attention updates the global vectors.
    """

    cuboids: tuple[Cuboid, ...]
    settings: Settings
    updates: bool = True

    @nn.compact
    def __call__(self, x: Array, vectors: Array | None, train: bool) -> tuple[Array, Array | None]:
        """Transforms `x` (B, T, H, W, C) and the global vectors (B, N, C), if there are any."""
        last = len(self.cuboids) - 1
        for i, cuboid in enumerate(self.cuboids):
            updates = self.updates or i < last
            attention = CuboidAttention(cuboid, self.settings, updates, name=f"attention_{i}")
            x, vectors = attention(x, vectors, train)
            x = FeedForward(self.settings, name=f"feed_forward_{i}")(x, train)
        return x, vectors


class CrossAttentionBlock(nn.Module):
    """Attention to the memory's tokens in the same square, then an MLP.

    Attributes:
      side: of the square, in tokens.
      reach: frames of the memory and of the clip together.
      settings: see `Settings`.
    """

    side: int
    reach: int
    settings: Settings

    @nn.compact
    def __call__(self, x: Array, memory: Array, train: bool) -> Array:
        """Transforms `x` (B, T, H, W, C), given `memory` (B, T', H, W, C)."""
        attention = CuboidCrossAttention(self.side, self.reach, self.settings, name="attention_0")
        return FeedForward(self.settings, name="feed_forward_0")(attention(x, memory, train), train)


class CuboidAttention(nn.Module):
    """Self-attention within cuboids, and exchange with global vectors, both residual.

    A token attends to the tokens of its own cuboid and to the vectors, in one softmax; a vector
    attends to all tokens and to the vectors. The zeros that fill a cuboid up count as tokens.

    Attributes:
      cuboid: how the clip is cut.
      settings: see `Settings`.
      updates: whether the vectors attend too, or stay as they are.
    """

    cuboid: Cuboid
    settings: Settings
    updates: bool = True

    @nn.compact
    def __call__(self, x: Array, vectors: Array | None, train: bool) -> tuple[Array, Array | None]:
        """Transforms `x` (B, T, H, W, C) and the global vectors (B, N, C), if there are any."""
        heads, attn_drop, proj_drop, _, dtype = self.settings
        clip, width = x.shape[1:4], x.shape[-1]
        norm = functools.partial(layer_norm, dtype=dtype)
        project = functools.partial(HeadProjection, heads, dtype=dtype)
        linear = functools.partial(Linear, width, dtype=dtype)
        drop_weights = Dropout(attn_drop, deterministic=not train)
        drop = Dropout(proj_drop, deterministic=not train)

        cuboid = self.cuboid.within(clip)
        tokens = cut(norm(name="norm")(x), cuboid)
        q, k, v = project(3, name="qkv")(tokens)
        bias = RelativeBias(self.cuboid.size, heads, name="position_bias")
        scores = score(q, k) + bias(q.shape[-2], k.shape[-2])
        mask = shift_mask(cuboid, clip)
        if mask is not None:
            scores = jnp.where(mask[None, :, None], scores, -jnp.inf)
        sources = [(scores, v)]
        if vectors is not None:
            seen = norm(name="vector_norm")(vectors)[:, None]  # (B, 1, N, C): one cuboid of them
            (q,) = project(1, name="token_query")(tokens)
            k, v = project(2, name="vector_key_value")(seen)
            sources.append((score(q, k), v))
        out = linear(initializer=lecun_normal, name="proj")(attend(sources, drop_weights))
        x = x + join(drop(out), cuboid, clip)
        if vectors is None or not self.updates:
            return x, vectors

        everything = rearrange(tokens, "b n l c -> b 1 (n l) c")
        (q,) = project(1, name="vector_query")(seen)
        (k,) = project(1, name="token_key")(everything)
        (v,) = project(1, name="token_value")(everything)
        sources = [(score(q, k), v)]
        q, k, v = project(3, name="vector_qkv")(seen)
        sources.append((score(q, k), v))
        out = linear(name="vector_proj")(attend(sources, drop_weights))
        return x, vectors + drop(out)[:, 0]


class CuboidCrossAttention(nn.Module):
    """Attention of a clip to a memory: of a token to those in the same square; residual.

    Attributes:
      side: of the square, in tokens; no larger than the frame is high or wide.
      reach: frames of the clip and of the memory together.
      settings: see `Settings`.
    """

    side: int
    reach: int
    settings: Settings

    @nn.compact
    def __call__(self, x: Array, memory: Array, train: bool) -> Array:
        """Transforms `x` (B, T, H, W, C), given `memory` (B, T', H, W, C)."""
        heads, attn_drop, proj_drop, _, dtype = self.settings
        clip, width = x.shape[1:4], x.shape[-1]
        square = (self.side, self.side)
        cuboid = Cuboid((x.shape[1], *square))
        project = functools.partial(HeadProjection, heads, dtype=dtype)

        tokens = cut(layer_norm(dtype=dtype, name="norm")(x), cuboid)
        remembered = cut(memory, Cuboid((memory.shape[1], *square)))
        (q,) = project(1, name="query")(tokens)
        k, v = project(2, name="key_value")(remembered)
        bias = RelativeBias((self.reach, *square), heads, name="position_bias")
        scores = score(q, k) + bias(q.shape[-2], k.shape[-2])
        out = attend([(scores, v)], Dropout(attn_drop, deterministic=not train))
        out = Linear(width, initializer=lecun_normal, dtype=dtype, name="proj")(out)
        return x + join(Dropout(proj_drop, deterministic=not train)(out), cuboid, clip)


class FeedForward(nn.Module):
    """x + MLP(LayerNorm x), 4 times as wide within.

    Attributes:
      settings: see `Settings`.
    """

    settings: Settings

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Maps (..., C) to the same shape."""
        *_, drop, dtype = self.settings
        mlp = Mlp(4 * x.shape[-1], drop, lecun_normal, dtype, name="mlp")
        return x + mlp(layer_norm(dtype=dtype, name="norm")(x), train)


class HeadProjection(nn.Module):
    """Queries, keys or values, or several of them, from one linear layer without a bias.

    Attributes:
      heads: number of heads.
      parts: how many of them.
      dtype: compute dtype.
    """

    heads: int
    parts: int
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps (B, cuboids, L, C) to (parts, B, cuboids, heads, L, C / heads)."""
        linear = Linear(self.parts * x.shape[-1], False, lecun_normal, self.dtype, name="linear")
        return rearrange(linear(x), "b n l (s h d) -> s b n h l d", s=self.parts, h=self.heads)


class RelativeBias(nn.Module):
    """A learned score for each offset between two tokens of a cuboid, and each head.

    Attributes:
      size: of the largest cuboid.
      heads: number of heads.
    """

    size: Size
    heads: int

    @nn.compact
    def __call__(self, queries: int, keys: int) -> Array:
        """Scores (1, 1, heads, queries, keys) between the cuboid's first tokens."""
        table = self.param("table", normal(0.02), (offsets(self.size), self.heads))
        return rearrange(table[relative_index(self.size)[:queries, :keys]], "q k h -> 1 1 h q k")


def attend(sources: Sequence[tuple[Array, Array]], dropout: Dropout) -> Array:
    """Values, weighted by one softmax over the scores of all sources, heads side by side.

    Args:
      sources: scores (B, n, heads, L, L') and values (B, n, heads, L', d); one of the two n may
        be 1.
      dropout: of the weights.

    Returns:
      (B, n, L, heads * d).
    """
    weights = dropout(jax.nn.softmax(jnp.concatenate([scores for scores, _ in sources], axis=-1)))
    ends = list(itertools.accumulate(scores.shape[-1] for scores, _ in sources))
    parts = jnp.split(weights, ends[:-1], axis=-1)
    blends = [w.astype(v.dtype) @ v for w, (_, v) in zip(parts, sources, strict=True)]
    out = functools.reduce(operator.add, blends)
    return rearrange(out, "b n h l d -> b n l (h d)")
