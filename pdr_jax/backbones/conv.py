"""The 2D convolution that every backbone uses."""

from flax import linen as nn
from flax.linen.dtypes import promote_dtype
from jax import Array, lax
from jax.typing import DTypeLike

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
        pad = self.dilation * (size // 2)
        if self.groups == channels == self.features and self.stride == 1:
            out = depthwise_conv(x, kernel, dilation=self.dilation)
        elif size == 1 and self.stride == 1 and self.groups == 1:
            # The same as a matrix product: XLA's CPU back end computes the gradient of a 1x1
            # convolution's kernel as a convolution with a kernel as large as the frame.
            out = x.reshape(-1, channels) @ kernel.reshape(channels, self.features)
            out = out.reshape(*x.shape[:-1], self.features)
        else:
            out = lax.conv_general_dilated(
                x,
                kernel,
                window_strides=(self.stride, self.stride),
                padding=((pad, pad), (pad, pad)),
                rhs_dilation=(self.dilation, self.dilation),
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
                feature_group_count=self.groups,
            )
        return out + bias.reshape(1, 1, 1, -1)
