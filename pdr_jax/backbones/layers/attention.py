"""Multi-head self-attention over a sequence."""

import functools

import jax
import jax.numpy as jnp
from einops import rearrange
from flax import linen as nn
from jax import Array
from jax.typing import DTypeLike

from pdr_jax.backbones.layers.dropout import Dropout
from pdr_jax.backbones.layers.initializers import LayerInit, trunc_normal_002
from pdr_jax.backbones.layers.linear import Linear


def score(q: Array, k: Array) -> Array:
    """Scaled dot products (..., L, L') of (..., L, d) and (..., L', d), in float32 or wider."""
    wide = jnp.promote_types(q.dtype, jnp.float32)
    return jnp.einsum("...qd,...kd->...qk", q, k, preferred_element_type=wide) * q.shape[-1] ** -0.5


class SelfAttention(nn.Module):
    """softmax(q k^T / sqrt(d) + bias) v for each head, then a linear layer, then dropout.

    One linear layer makes q, k and v, stacked in this order as in timm. Scores and
    softmax are computed in float32 (or wider) whatever the compute dtype.

    Attributes:
      heads: number of heads.
      head_width: d; by default the input's width over `heads`.
      qkv_bias: whether the first linear layer has a bias.
      drop: dropout after the last linear layer.
      initializer: initial values of both linear layers.
      dtype: compute dtype.
    """

    heads: int
    head_width: int | None = None
    qkv_bias: bool = True
    drop: float = 0.0
    initializer: LayerInit = trunc_normal_002
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array, train: bool, bias: Array | None = None) -> Array:
        """Attends over `x` (..., L, C); `bias` broadcasts to (..., heads, L, L) scores."""
        width = x.shape[-1]
        d = self.head_width or width // self.heads
        linear = functools.partial(Linear, initializer=self.initializer, dtype=self.dtype)
        qkv = linear(3 * self.heads * d, use_bias=self.qkv_bias, name="qkv")(x)
        q, k, v = rearrange(qkv, "... l (s h d) -> s ... h l d", s=3, h=self.heads)
        scores = score(q, k)
        if bias is not None:
            scores = scores + bias.reshape((1,) * (scores.ndim - bias.ndim) + bias.shape)
        weights = jax.nn.softmax(scores).astype(v.dtype)
        out = rearrange(jnp.einsum("...qk,...kd->...qd", weights, v), "... h l d -> ... l (h d)")
        out = linear(width, name="proj")(out)
        return Dropout(self.drop, deterministic=not train)(out)
