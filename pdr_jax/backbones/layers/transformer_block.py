"""The transformer's block: attention over all positions, then an MLP."""

import functools

from flax import linen as nn
from jax import Array
from jax.typing import DTypeLike

from pdr_jax.backbones.layers.attention import SelfAttention
from pdr_jax.backbones.layers.dropout import stochastic_depth
from pdr_jax.backbones.layers.layer_scale import layer_scale
from pdr_jax.backbones.layers.mlp import Mlp
from pdr_jax.backbones.layers.norm import layer_norm


class TransformerBlock(nn.Module):
    """x + s1 SelfAttention(LN x), then x + s2 Mlp(LN x), with drop path on both branches.

    Attributes:
      heads: number of heads.
      mlp_ratio: width of the MLP over the block's width.
      drop: dropout after the attention and within the MLP.
      drop_path: stochastic depth of both branches.
      layer_scale: what s1 and s2, learned per channel, start at; None: there are none.
      dtype: compute dtype.
    """

    heads: int
    mlp_ratio: float = 4.0
    drop: float = 0.0
    drop_path: float = 0.0
    layer_scale: float | None = None
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Transforms `x` (N, ..., C) to the same shape; all but the first axis is attended over."""
        shape, width = x.shape, x.shape[-1]
        norm = functools.partial(layer_norm, dtype=self.dtype)
        attention = SelfAttention(self.heads, drop=self.drop, dtype=self.dtype, name="attention")
        mlp = Mlp(int(width * self.mlp_ratio), self.drop, dtype=self.dtype, name="mlp")
        drop_path = stochastic_depth(self.drop_path, train, ndim=3)

        x = x.reshape(shape[0], -1, width)
        y = attention(norm(name="norm_1")(x), train)
        x = x + drop_path(self._scale("scale_1", y))
        y = mlp(norm(name="norm_2")(x), train)
        return (x + drop_path(self._scale("scale_2", y))).reshape(shape)

    def _scale(self, name: str, branch: Array) -> Array:
        if self.layer_scale is None:
            return branch
        return layer_scale(self, name, branch, self.layer_scale)
