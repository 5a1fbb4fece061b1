"""Depthwise 2D convolution, in the form that each platform runs fast."""

import jax.numpy as jnp
from jax import Array, lax


def depthwise_conv(x: Array, kernel: Array, *, dilation: int = 1) -> Array:
    """Convolves every channel with its own kernel, stride 1, zeros outside, same size out.

    Args:
      x: (..., H, W, C).
      kernel: (K, K', 1, C), K and K' odd; cross-correlation, as in every deep-learning library.
      dilation: spacing of the kernel's taps, in pixels.

    Returns:
      (..., H, W, C) in the dtype of `x`.

    Raises:
      ValueError: on an even kernel or a kernel that does not fit the channels of `x`.
    """
    rows, columns, one, channels = kernel.shape
    if rows % 2 == 0 or columns % 2 == 0:
        raise ValueError(f"depthwise kernel is {rows}x{columns}; both sides must be odd")
    if one != 1 or channels != x.shape[-1]:
        raise ValueError(
            f"depthwise kernel has shape {kernel.shape}; for x of shape {x.shape} "
            f"expected (K, K', 1, {x.shape[-1]})"
        )
    flat = x.reshape(-1, *x.shape[-3:])
    kernel = kernel.astype(x.dtype)
    out = lax.platform_dependent(
        flat,
        kernel,
        cpu=lambda x, k: shifted_sum(x, k, dilation),
        default=lambda x, k: xla_conv(x, k, dilation),
    )
    return out.reshape(x.shape)


def xla_conv(x: Array, kernel: Array, dilation: int) -> Array:
    """XLA's grouped convolution: (N, H, W, C), (K, K', 1, C) -> (N, H, W, C)."""
    rows, columns, _, channels = kernel.shape
    pad_y, pad_x = dilation * (rows // 2), dilation * (columns // 2)
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(1, 1),
        padding=((pad_y, pad_y), (pad_x, pad_x)),
        rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=channels,
    )


def shifted_sum(x: Array, kernel: Array, dilation: int) -> Array:
    """The same as K K' shifted multiply-adds, which XLA fuses into one loop over the output."""
    rows, columns, _, channels = kernel.shape
    _, height, width, _ = x.shape
    pad_y, pad_x = dilation * (rows // 2), dilation * (columns // 2)
    padded = jnp.pad(x, ((0, 0), (pad_y, pad_y), (pad_x, pad_x), (0, 0)))
    total = jnp.zeros_like(x)
    for row in range(rows):
        for column in range(columns):
            y, z = row * dilation, column * dilation
            window = padded[:, y : y + height, z : z + width, :]
            total += window * kernel[row, column].reshape(1, 1, 1, channels)
    return total
