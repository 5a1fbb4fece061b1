"""The definition of `ssim`, dense and in plain jnp. Read this first.

The pixels of every window are copied, which takes as many times the frames' memory as a window has
pixels: this checks the other implementations and is not meant for training.
"""

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from pallas_kernels.ssim.measure import Measure, Weights


def ssim(
    x: Float[Array, "F H W C"], y: Float[Array, "F H W C"], measure: Measure
) -> Float[Array, " F"]:
    """Mean SSIM of each frame, (F, H, W, C) -> (F,): see `api.ssim`.

    A window with weights w has the means m = sum w x and n = sum w y, the variances
    v_x = sum w (x - m)^2 and v_y = sum w (y - n)^2, the covariance
    v_xy = sum w (x - m) (y - n), and

    SSIM = (2 m n + C1) (2 v_xy + C2) / ((m^2 + n^2 + C1) (v_x + v_y + C2)).

    If the measure is `signed`, this is negated where both factors of the numerator are negative.
    """
    dtype = jnp.promote_types(jnp.result_type(x, y), jnp.float32)
    x, y = x.astype(dtype) - measure.low, y.astype(dtype) - measure.low
    down, rows = _windows(x.shape[1], measure.rows, measure, dtype)
    across, columns = _windows(x.shape[2], measure.columns, measure, dtype)
    weights = rows[:, None, :, None] * columns[None, :, None, :]  # (H', W', h, w)
    pixels = (slice(None), down[:, None, :, None], across[None, :, None, :])
    x, y = x[pixels], y[pixels]  # (F, H', W', h, w, C)

    def mean(values):
        return jnp.einsum("abij,fabijc->fabc", weights, values, precision="highest")

    x_mean, y_mean = mean(x), mean(y)
    u, v = (z - m[:, :, :, None, None] for z, m in ((x, x_mean), (y, y_mean)))
    variances = measure.unbiased * mean(u * u + v * v)  # sum of the two
    covariance = measure.unbiased * mean(u * v)
    c1, c2 = measure.constants
    brightness = (2 * x_mean * y_mean + c1) / (x_mean**2 + y_mean**2 + c1)
    contrast_structure = (2 * covariance + c2) / (variances + c2)
    similarity = brightness * contrast_structure
    if measure.signed:
        both_negative = (brightness < 0) & (contrast_structure < 0)
        similarity = jnp.where(both_negative, -similarity, similarity)
    return similarity.mean((1, 2, 3))


def _windows(length: int, weights: Weights, measure: Measure, dtype) -> tuple[Array, Array]:
    """The pixels, clipped to the frame, and the weights of the windows along an axis.

    Both are (windows, pixels of a window).
    """
    first = len(weights) // 2 if measure.padding == "same" else 0
    count = length if measure.padding == "same" else length - len(weights) + 1
    pixels = jnp.arange(count)[:, None] - first + jnp.arange(len(weights))[None, :]
    inside = (pixels >= 0) & (pixels < length)
    weighed = jnp.where(inside, jnp.asarray(weights, dtype)[None, :], 0)
    return jnp.clip(pixels, 0, length - 1), weighed / weighed.sum(1, keepdims=True)
