"""Structural similarity (Wang, Bovik, Sheikh, Simoncelli, IEEE TIP 2004) for loss and metrics.

The window slides along each axis in turn, written as a product with a banded matrix. On 2 CPU
cores, 40 frames of 64x64, forward / forward and backward: banded matrix 0.9 / 1.4 ms, shifted
multiply-adds 5 / 24 ms, `lax.conv` 29 / 59 ms. The matrix stays ahead up to 256x256 (24 planes:
34 / 62 ms, shifts 49 / 283 ms).
"""

from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

Padding = Literal["valid", "same"]
Weights = tuple[float, ...]

GAUSSIAN_SIZE, GAUSSIAN_SIGMA = 11, 1.5
K1, K2 = 0.01, 0.03


def gaussian_window(size: int = GAUSSIAN_SIZE, sigma: float = GAUSSIAN_SIGMA) -> Weights:
    """`size` weights of a centred Gaussian of `sigma` pixels, summing to 1."""
    x = np.arange(size) - (size - 1) / 2
    weights = np.exp(-0.5 * (x / sigma) ** 2)
    return tuple(float(w) for w in weights / weights.sum())


def uniform_window(size: int) -> Weights:
    """`size` equal weights summing to 1."""
    return (1.0 / size,) * size


def ssim_map(
    prediction: jax.Array,
    target: jax.Array,
    *,
    windows: tuple[Sequence[float], Sequence[float]],
    data_range: float,
    sample_covariance: bool = False,
    padding: Padding = "valid",
) -> jax.Array:
    """SSIM of every window and channel, in [-1, 1].

    Args:
      prediction: (..., H, W, C) float.
      target: (..., H, W, C) float.
      windows: weights along H and along W (odd lengths, each summing to 1).
      data_range: largest minus smallest possible value, L in C1 = (0.01 L)^2 and C2 = (0.03 L)^2.
      sample_covariance: divide (co)variances by n - 1 rather than n, n the pixels of a window
        (scikit-image's `use_sample_covariance`; meaningful for uniform windows).
      padding: "valid": only windows that lie inside the frame, as scikit-image's mean and
        pytorch-msssim; the map is (H - h + 1, W - w + 1). "same": a window at every pixel, which at
        the border keeps the weights of the pixels inside the frame, rescaled to sum to 1: no
        made-up pixels, and a constant frame stays constant.

    Returns:
      (..., C, H', W') in the inputs' precision, at least float32.
    """
    x, y = (_channels_first(a) for a in (prediction, target))
    rows, columns = (
        _banded(length, weights, padding, x.dtype)
        for length, weights in zip(x.shape[-2:], windows, strict=True)
    )

    def smooth(image: jax.Array) -> jax.Array:
        # HIGHEST: accelerators would round float32 operands to TF32 or bfloat16, and the variance
        # below is a difference of nearly equal numbers.
        highest = jax.lax.Precision.HIGHEST
        image = jnp.einsum("...hw,wj->...hj", image, columns, precision=highest)
        return jnp.einsum("hi,...hj->...ij", rows, image, precision=highest)

    # Variances do not change when both images are shifted; around zero they lose no digits when the
    # values are large beside their spread (temperatures in kelvin).
    origin = jax.lax.stop_gradient(y.mean((-2, -1), keepdims=True))
    u, v = x - origin, y - origin
    u_mean, v_mean = smooth(u), smooth(v)
    n = len(windows[0]) * len(windows[1])
    unbiased = n / (n - 1) if sample_covariance else 1.0
    variances = unbiased * (smooth(u * u + v * v) - u_mean**2 - v_mean**2)  # sum of the two
    covariance = unbiased * (smooth(u * v) - u_mean * v_mean)
    x_mean, y_mean = u_mean + origin, v_mean + origin

    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    luminance = (2 * x_mean * y_mean + c1) / (x_mean**2 + y_mean**2 + c1)
    contrast_structure = (2 * covariance + c2) / (variances + c2)
    return luminance * contrast_structure


def fit_window(size: int, length: int) -> int:
    """Largest odd window of at most `size` that fits into `length` pixels."""
    return min(size, length - 1 + length % 2)


def _channels_first(frames: jax.Array) -> jax.Array:
    """(..., H, W, C) -> (..., C, H, W), at least float32."""
    return jnp.moveaxis(frames, -1, -3).astype(jnp.promote_types(frames.dtype, jnp.float32))


def _banded(length: int, weights: Sequence[float], padding: Padding, dtype: jnp.dtype) -> jax.Array:
    """(length, windows): column j holds the weights at the place of window j."""
    half = len(weights) // 2
    matrix = np.zeros((length, length))
    for offset, weight in enumerate(weights, start=-half):
        matrix += weight * np.eye(length, k=-offset)
    if padding == "valid":
        matrix = matrix[:, half : length - half]
    return jnp.asarray(matrix / matrix.sum(0), dtype)
