"""The transposed 2D convolution, PyTorch's ConvTranspose2d."""

from collections.abc import Callable
from typing import Any

from flax import linen as nn
from flax.linen.dtypes import promote_dtype
from jax import Array
from jax.typing import DTypeLike

from pdr_jax.backbones.layers.by_platform import by_platform
from pdr_jax.backbones.layers.initializers import LayerInit, pytorch_default
from pdr_jax.backbones.layers.loop_conv import loop_conv, xla_conv
from pdr_jax.backbones.layers.per_channel import add_bias


class ConvTranspose(nn.Module):
    """The adjoint of a strided convolution: (N, H, W, C) -> (N, H', W', features).

    H' = (H - 1) stride - 2 padding + K + output_padding. The kernel is stored as that of the
    ordinary convolution of the dilated input, (K, K, C, features): PyTorch's, mirrored.

    Attributes:
      features: output channels.
      kernel_size: side K of the square kernel.
      stride: pixels between neighbouring input pixels in the output.
      padding: of the convolution that this is the adjoint of.
      output_padding: rows and columns added at the bottom and on the right.
      use_bias: whether there is a bias.
      initializer: initial values; as PyTorch, which takes the *output* channels for the fan-in.
      dtype: compute dtype; None follows the input.
    """

    features: int
    kernel_size: int
    stride: int = 1
    padding: int = 0
    output_padding: int = 0
    use_bias: bool = True
    initializer: LayerInit = pytorch_default
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Convolves `x` (N, H, W, C)."""
        size, channels = self.kernel_size, x.shape[-1]
        kernel_init, bias_init = self.initializer(
            size * size * self.features, size * size * channels
        )
        kernel = self.param("kernel", kernel_init, (size, size, channels, self.features))
        bias = self.param("bias", bias_init, (self.features,)) if self.use_bias else None
        x, kernel = promote_dtype(x, kernel, dtype=self.dtype)
        before = size - 1 - self.padding
        padding = (before, before + self.output_padding)
        spread = (self.stride, self.stride)

        def of(function: Callable[..., Array]) -> Callable[..., Array]:
            return lambda x, kernel: function(x, kernel, (1, 1), (padding, padding), spread, (1, 1))

        out = by_platform(cpu=of(loop_conv), default=of(xla_conv))(x, kernel)
        return add_bias(out, bias)


def enlarging(
    features: int, kernel_size: int = 3, stride: int = 2, **options: Any
) -> ConvTranspose:
    """The transposed convolution, with an odd kernel, that enlarges exactly by its stride."""
    return ConvTranspose(
        features, kernel_size, stride, kernel_size // 2, output_padding=stride - 1, **options
    )
