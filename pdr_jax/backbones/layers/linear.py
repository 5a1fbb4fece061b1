"""The linear layer that every backbone uses."""

from flax import linen as nn
from flax.linen.dtypes import promote_dtype
from jax import Array
from jax.typing import DTypeLike

from pdr_jax.backbones.layers.initializers import LayerInit, pytorch_default
from pdr_jax.backbones.layers.matmul import matmul
from pdr_jax.backbones.layers.per_channel import add_bias


class Linear(nn.Module):
    """(..., C) -> (..., features). Parameters `kernel` (C, features) and `bias`, float32.

    Attributes:
      features: output channels.
      use_bias: whether there is a bias.
      initializer: initial values; PyTorch's default unless a paper's code says otherwise.
      dtype: compute dtype; None follows the input.
    """

    features: int
    use_bias: bool = True
    initializer: LayerInit = pytorch_default
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps `x` (..., C)."""
        kernel_init, bias_init = self.initializer(x.shape[-1], self.features)
        kernel = self.param("kernel", kernel_init, (x.shape[-1], self.features))
        bias = self.param("bias", bias_init, (self.features,)) if self.use_bias else None
        x, kernel = promote_dtype(x, kernel, dtype=self.dtype)
        return add_bias(matmul(x, kernel), bias)
