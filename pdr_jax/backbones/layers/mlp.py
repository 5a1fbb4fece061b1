"""The transformer's MLP."""

import functools

from flax import linen as nn
from jax import Array
from jax.typing import DTypeLike

from pdr_jax.backbones.layers.dropout import Dropout
from pdr_jax.backbones.layers.gelu import gelu
from pdr_jax.backbones.layers.initializers import LayerInit, trunc_normal_002
from pdr_jax.backbones.layers.linear import Linear


class Mlp(nn.Module):
    """Linear to `hidden`, GELU, linear back, dropout after each.

    Attributes:
      hidden: width between the two.
      drop: dropout rate.
      initializer: initial values of both.
      dtype: compute dtype.
    """

    hidden: int
    drop: float = 0.0
    initializer: LayerInit = trunc_normal_002
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Maps (..., C) to the same shape."""
        linear = functools.partial(Linear, initializer=self.initializer, dtype=self.dtype)
        dropout = Dropout(self.drop, deterministic=not train)
        y = dropout(gelu(linear(self.hidden, name="expand")(x)))
        return dropout(linear(x.shape[-1], name="contract")(y))
