"""The 2D convolution that every backbone uses."""

import jax.numpy as jnp
from flax import linen as nn
from flax.linen.dtypes import promote_dtype
from jax import Array, lax
from jax.typing import DTypeLike

from pdr_jax.backbones.by_platform import by_platform
from pdr_jax.backbones.depthwise import depthwise_conv
from pdr_jax.backbones.initializers import ConvInit, pytorch_default


class Conv(nn.Module):
    """Convolution (N, H, W, C) -> (N, H/stride, W/stride, features), zeros outside the frame.

    Padding is dilation * (kernel_size // 2) on every side, so stride 1 keeps the size. Parameters
    are `kernel` (K, K, C / groups, features) and `bias` (features,), float32.

    Attributes:
      features: output channels.
      kernel_size: odd side of the square kernel.
      stride: step in pixels.
      groups: input and output channels are split into this many independent convolutions.
      dilation: spacing of the kernel's taps, in pixels.
      initializer: initial values; PyTorch's default unless a paper's code says otherwise.
      dtype: compute dtype; None follows the input.
    """

    features: int
    kernel_size: int = 1
    stride: int = 1
    groups: int = 1
    dilation: int = 1
    initializer: ConvInit = pytorch_default
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Convolves `x` (N, H, W, C)."""
        size, channels = self.kernel_size, x.shape[-1]
        shape = (size, size, channels // self.groups, self.features)
        kernel_init, bias_init = self.initializer(
            size * size * channels // self.groups, size * size * self.features // self.groups
        )
        kernel = self.param("kernel", kernel_init, shape)
        bias = self.param("bias", bias_init, (self.features,))
        x, kernel, bias = promote_dtype(x, kernel, bias, dtype=self.dtype)
        if self.groups == channels == self.features and self.stride == 1:
            out = depthwise_conv(x, kernel, dilation=self.dilation)
        elif size == 1 and self.stride == 1 and self.groups == 1:
            # The same as a matrix product: XLA's CPU back end computes the gradient of a 1x1
            # convolution's kernel as a convolution with a kernel as large as the frame.
            out = x.reshape(-1, channels) @ kernel.reshape(channels, self.features)
            out = out.reshape(*x.shape[:-1], self.features)
        else:
            out = convolve(x, kernel, self.stride, self.groups, self.dilation)
        return out + bias.reshape(1, 1, 1, -1)


def convolve(x: Array, kernel: Array, stride: int, groups: int, dilation: int) -> Array:
    """Convolution (N, H, W, C), (K, K, C / groups, C') -> (N, H / stride, W / stride, C').

    XLA's CPU back end computes a grouped convolution 10 times, and its kernel's gradient 200
    times, slower than its groups one by one (8 groups of 16 channels, 11x11;
    experiments/results/depthwise_cpu.json). So there it gets them one by one.
    """

    def apart(x: Array, kernel: Array) -> Array:
        parts = zip(jnp.split(x, groups, -1), jnp.split(kernel, groups, -1), strict=True)
        return jnp.concatenate([grouped_conv(*part, stride, 1, dilation) for part in parts], -1)

    def together(x: Array, kernel: Array) -> Array:
        return grouped_conv(x, kernel, stride, groups, dilation)

    if groups == 1:
        return together(x, kernel)
    return by_platform(cpu=apart, default=together)(x, kernel)


def grouped_conv(x: Array, kernel: Array, stride: int, groups: int, dilation: int) -> Array:
    """The same as one operation of XLA's."""
    pad = dilation * (kernel.shape[0] // 2)
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=((pad, pad), (pad, pad)),
        rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )
