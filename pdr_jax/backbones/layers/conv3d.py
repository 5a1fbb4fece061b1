"""The 3D convolution, over time and space."""

import functools

import jax.numpy as jnp
from flax import linen as nn
from flax.linen.dtypes import promote_dtype
from jax import Array, lax
from jax.typing import DTypeLike

from pdr_jax.backbones.layers.by_platform import by_platform
from pdr_jax.backbones.layers.initializers import LayerInit, pytorch_default
from pdr_jax.backbones.layers.loop_conv import loop_conv
from pdr_jax.backbones.layers.matmul import matmul
from pdr_jax.backbones.layers.per_channel import add_bias


class Conv3D(nn.Module):
    """Convolution (N, T, H, W, C) -> (N, T', H / stride, W / stride, features).

    Zeros are outside the clip. Padding is K // 2 on every side, so stride 1 keeps the size.
    Parameters are `kernel` (K, K', K'', C / groups, features) and `bias` (features,), float32.

    Attributes:
      features: output channels.
      kernel_size: side of a cubic kernel, or its length in time, its height and its width.
      stride: step in pixels; in time it is 1.
      time_padding: zero frames before and after the clip, if not half the kernel's length.
      groups: input and output channels are split into this many independent convolutions.
      use_bias: whether there is a bias.
      initializer: initial values; PyTorch's default unless a paper's code says otherwise.
      dtype: compute dtype; None follows the input.
    """

    features: int
    kernel_size: int | tuple[int, int, int] = 3
    stride: int = 1
    time_padding: int | None = None
    groups: int = 1
    use_bias: bool = True
    initializer: LayerInit = pytorch_default
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Convolves `x` (N, T, H, W, C)."""
        size = self.kernel_size
        length, rows, columns = (size,) * 3 if isinstance(size, int) else size
        volume, inputs = length * rows * columns, x.shape[-1] // self.groups
        kernel_init, bias_init = self.initializer(
            volume * inputs, volume * self.features // self.groups
        )
        kernel = self.param("kernel", kernel_init, (length, rows, columns, inputs, self.features))
        bias = self.param("bias", bias_init, (self.features,)) if self.use_bias else None
        x, kernel = promote_dtype(x, kernel, dtype=self.dtype)
        padding = length // 2 if self.time_padding is None else self.time_padding
        if volume == self.stride == self.groups == 1:  # as `Conv` does
            out = matmul(x, kernel.reshape(-1, self.features))
        else:
            out = conv3d(x, kernel, stride=self.stride, time_padding=padding, groups=self.groups)
        return add_bias(out, bias)


def conv3d(x: Array, kernel: Array, *, stride: int, time_padding: int, groups: int) -> Array:
    """Convolution (N, T, H, W, C), (K, K', K'', C / groups, C') -> (N, T', H', W', C').

    On CPUs it is computed as 2D convolutions of frames that have their neighbours in time as
    further channels: XLA's CPU back end is faster at these, and at their gradients.
    """
    cpu, default = (
        functools.partial(form, stride=stride, time_padding=time_padding, groups=groups)
        for form in (conv_of_frames, xla_conv3d)
    )
    return by_platform(cpu=cpu, default=default)(x, kernel)


def xla_conv3d(x: Array, kernel: Array, stride: int, time_padding: int, groups: int) -> Array:
    """The 3D convolution as one XLA operation."""
    pad_y, pad_x = (side // 2 for side in kernel.shape[1:3])
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(1, stride, stride),
        padding=((time_padding, time_padding), (pad_y, pad_y), (pad_x, pad_x)),
        dimension_numbers=("NDHWC", "DHWIO", "NDHWC"),
        feature_group_count=groups,
    )


def conv_of_frames(x: Array, kernel: Array, stride: int, time_padding: int, groups: int) -> Array:
    """The 3D convolution as one 2D convolution per group."""
    taps, rows, columns = kernel.shape[:3]
    padding = ((rows // 2, rows // 2), (columns // 2, columns // 2))
    x = jnp.pad(x, ((0, 0), (time_padding, time_padding), (0, 0), (0, 0), (0, 0)))
    length = x.shape[1] - taps + 1

    def convolve(x: Array, kernel: Array) -> Array:
        near = jnp.concatenate([x[:, tap : tap + length] for tap in range(taps)], axis=-1)
        frames, kernel = near.reshape(-1, *near.shape[2:]), jnp.concatenate(list(kernel), axis=-2)
        out = loop_conv(frames, kernel, (stride, stride), padding, (1, 1), (1, 1))
        return out.reshape(-1, length, *out.shape[1:])

    parts = zip(jnp.split(x, groups, -1), jnp.split(kernel, groups, -1), strict=True)
    return jnp.concatenate([convolve(*part) for part in parts], axis=-1)
