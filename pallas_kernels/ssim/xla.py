"""The portable implementation: the window slides along each axis in turn, as a banded matrix.

On 2 CPU cores, 40 frames of 64x64, forward / forward and backward: banded matrix 0.9 / 1.4 ms,
shifted multiply-adds 5 / 24 ms, `lax.conv` 29 / 59 ms. The matrix stays ahead up to 256x256
(24 planes: 34 / 62 ms, shifts 49 / 283 ms).
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from pallas_kernels.ssim.measure import Measure, Padding, Weights


def ssim(
    x: Float[Array, "F H W C"], y: Float[Array, "F H W C"], measure: Measure
) -> Float[Array, " F"]:
    """Mean SSIM of each frame, (F, H, W, C) -> (F,): see `api.ssim`."""
    return similarities(x, y, measure).mean((1, 2, 3))


def similarities(
    x: Float[Array, "F H W C"], y: Float[Array, "F H W C"], measure: Measure
) -> Float[Array, "F C Y X"]:
    """The similarity of each window."""
    dtype = jnp.promote_types(jnp.result_type(x, y), jnp.float32)
    x, y = (jnp.moveaxis(a, -1, -3).astype(dtype) - measure.low for a in (x, y))
    rows, columns = (
        _banded(length, weights, measure.padding, dtype)
        for length, weights in zip(x.shape[-2:], (measure.rows, measure.columns), strict=True)
    )

    def smooth(image):
        # The variance below is a difference of nearly equal numbers: accelerators must not round
        # float32 to TF32 or bfloat16.
        highest = jax.lax.Precision.HIGHEST
        image = jnp.einsum("...hw,wj->...hj", image, columns, precision=highest)
        return jnp.einsum("hi,...hj->...ij", rows, image, precision=highest)

    # Values that are large beside their spread (temperatures in kelvin) would lose digits in the
    # variances, which do not change when both images are shifted.
    origin = jax.lax.stop_gradient(y.mean((-2, -1), keepdims=True))
    u, v = x - origin, y - origin
    u_mean, v_mean = smooth(u), smooth(v)
    unbiased = measure.unbiased
    variances = unbiased * (smooth(u * u + v * v) - u_mean**2 - v_mean**2)  # sum of the two
    covariance = unbiased * (smooth(u * v) - u_mean * v_mean)
    x_mean, y_mean = u_mean + origin, v_mean + origin

    c1, c2 = measure.constants
    luminance = (2 * x_mean * y_mean + c1) / (x_mean**2 + y_mean**2 + c1)
    contrast_structure = (2 * covariance + c2) / (variances + c2)
    similarity = luminance * contrast_structure
    if measure.signed:
        both_negative = (luminance < 0) & (contrast_structure < 0)
        similarity = jnp.where(both_negative, -similarity, similarity)
    return similarity


def _banded(length: int, weights: Weights, padding: Padding, dtype: jnp.dtype) -> Array:
    """(length, windows): column j holds the weights at the place of window j."""
    half = len(weights) // 2
    matrix = np.zeros((length, length))
    for offset, weight in enumerate(weights, start=-half):
        matrix += weight * np.eye(length, k=-offset)
    if padding == "valid":
        matrix = matrix[:, half : length - half]
    return jnp.asarray(matrix / matrix.sum(0), dtype)
