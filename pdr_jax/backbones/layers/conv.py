"""The 2D convolution that every backbone uses."""

import jax.numpy as jnp
from flax import linen as nn
from flax.linen.dtypes import promote_dtype
from jax import Array
from jax.typing import DTypeLike

from pdr_jax.backbones.layers.by_platform import by_platform
from pdr_jax.backbones.layers.depthwise import depthwise_conv
from pdr_jax.backbones.layers.initializers import LayerInit, pytorch_default
from pdr_jax.backbones.layers.loop_conv import grouped_conv, loop_conv
from pdr_jax.backbones.layers.matmul import matmul
from pdr_jax.backbones.layers.per_channel import add_bias


class Conv(nn.Module):
    """Convolution (N, H, W, C) -> (N, H/stride, W/stride, features), zeros outside the frame.

    Padding is dilation * (K // 2) on every side, so stride 1 keeps the size. Parameters are
    `kernel` (K, K', C / groups, features) and `bias` (features,), float32.

    Attributes:
      features: output channels.
      kernel_size: odd side K of a square kernel, or its odd height and width.
      stride: step in pixels.
      groups: input and output channels are split into this many independent convolutions.
      dilation: spacing of the kernel's taps, in pixels.
      use_bias: whether there is a bias.
      initializer: initial values; PyTorch's default unless a paper's code says otherwise.
      dtype: compute dtype; None follows the input.
    """

    features: int
    kernel_size: int | tuple[int, int] = 1
    stride: int = 1
    groups: int = 1
    dilation: int = 1
    use_bias: bool = True
    initializer: LayerInit = pytorch_default
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Convolves `x` (N, H, W, C)."""
        channels = x.shape[-1]
        size = self.kernel_size
        rows, columns = (size, size) if isinstance(size, int) else size
        kernel_init, bias_init = self.initializer(
            rows * columns * channels // self.groups, rows * columns * self.features // self.groups
        )
        shape = (rows, columns, channels // self.groups, self.features)
        kernel = self.param("kernel", kernel_init, shape)
        bias = self.param("bias", bias_init, (self.features,)) if self.use_bias else None
        x, kernel = promote_dtype(x, kernel, dtype=self.dtype)
        if self.groups == channels == self.features and self.stride == 1:
            out = depthwise_conv(x, kernel, dilation=self.dilation)
        elif rows == columns == self.stride == self.groups == 1:
            # The same as a matrix product: XLA's CPU back end computes the gradient of a 1x1
            # convolution's kernel as a convolution with a kernel as large as the frame.
            out = matmul(x, kernel.reshape(channels, self.features))
        else:
            out = convolve(x, kernel, self.stride, self.groups, self.dilation)
        return add_bias(out, bias)


def convolve(x: Array, kernel: Array, stride: int, groups: int, dilation: int) -> Array:
    """Convolution (N, H, W, C), (K, K', C / groups, C') -> (N, H / stride, W / stride, C').

    On CPUs the groups are convolved one by one: XLA's CPU back end computes a grouped convolution
    more than 10 times, and its kernel's gradient more than 200 times, slower (8 groups of 16
    channels, 11x11; experiments/results/depthwise_cpu.json).
    """
    pad_y, pad_x = (dilation * (side // 2) for side in kernel.shape[:2])
    padding = ((pad_y, pad_y), (pad_x, pad_x))

    def apart(x: Array, kernel: Array) -> Array:
        parts = zip(jnp.split(x, groups, -1), jnp.split(kernel, groups, -1), strict=True)
        settings = ((stride,) * 2, padding, (1, 1), (dilation,) * 2)
        return jnp.concatenate([loop_conv(*part, *settings) for part in parts], -1)

    def together(x: Array, kernel: Array) -> Array:
        return grouped_conv(x, kernel, stride, groups, dilation)

    return by_platform(cpu=apart, default=together)(x, kernel)
