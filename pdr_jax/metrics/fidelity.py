"""Errors and similarity of two frames: (..., H, W, C) pairs -> (...)."""

import jax
import jax.numpy as jnp

from pallas_kernels import ssim as structural_similarity
from pallas_kernels.ssim import Weights, gaussian_window, uniform_window

_FRAME = (-3, -2, -1)


def mse(prediction: jax.Array, target: jax.Array, *, spatial_norm: bool = False) -> jax.Array:
    """Squared error of a frame, SUMMED over H, W, C (OpenSTL); `spatial_norm` averages instead."""
    return _reduce((prediction - target) ** 2, spatial_norm)


def mae(prediction: jax.Array, target: jax.Array, *, spatial_norm: bool = False) -> jax.Array:
    """Absolute error of a frame, SUMMED over H, W, C (OpenSTL); `spatial_norm` averages instead."""
    return _reduce(jnp.abs(prediction - target), spatial_norm)


def psnr(prediction: jax.Array, target: jax.Array) -> jax.Array:
    """PSNR of a frame in dB: float arithmetic, peak 1, error averaged over H, W, C; inf if equal.

    OpenSTL clips the prediction to [0, 1] first; so does `Evaluator`, this function does not. Older
    papers used wrapping uint8 arithmetic, whose figures are higher and not comparable.
    """
    return -10.0 * jnp.log10(mse(prediction, target, spatial_norm=True))


def snr(prediction: jax.Array, target: jax.Array) -> jax.Array:
    """Signal-to-noise ratio of a frame in dB, 10 log10(mean target^2 / mean error^2)."""
    return 10.0 * jnp.log10(
        jnp.mean(target**2, _FRAME) / mse(prediction, target, spatial_norm=True)
    )


def ssim(prediction: jax.Array, target: jax.Array, *, data_range: float = 2.0) -> jax.Array:
    """OpenSTL's SSIM of a frame: 7x7 uniform window, sample covariance, DATA RANGE 2, channel mean.

    The range of 2 for data in [0, 1] is what scikit-image <= 0.19 assumed for float images. It
    makes figures higher than the data's own range does, which is the metric "ssim_range1"
    (`data_range=1.0`). Windows that leave the frame are not counted.

    Raises:
      ValueError: a frame smaller than 7x7.
    """
    return _mean_ssim(
        prediction, target, uniform_window(7), data_range=data_range, sample_covariance=True
    )


def ssim_gaussian(
    prediction: jax.Array, target: jax.Array, *, data_range: float = 1.0
) -> jax.Array:
    """SSIM of a frame as first published: 11x11 Gaussian window of sigma 1.5, data range 1.

    Equals scikit-image with `gaussian_weights=True, sigma=1.5, use_sample_covariance=False`.

    Raises:
      ValueError: a frame smaller than 11x11.
    """
    return _mean_ssim(prediction, target, gaussian_window(), data_range=data_range)


def _mean_ssim(
    prediction: jax.Array,
    target: jax.Array,
    window: Weights,
    *,
    data_range: float,
    sample_covariance: bool = False,
) -> jax.Array:
    height, width = prediction.shape[-3:-1]
    size = len(window)
    if min(height, width) < size:
        raise ValueError(
            f"frames are {height}x{width}; this SSIM needs at least {size}x{size} pixels: "
            "leave it out of `names`"
        )
    dtype = jnp.promote_types(jnp.result_type(prediction, target), jnp.float32)
    return structural_similarity(
        jnp.asarray(prediction, dtype),
        jnp.asarray(target, dtype),
        windows=(window, window),
        data_range=data_range,
        sample_covariance=sample_covariance,
    )


def _reduce(values: jax.Array, spatial_norm: bool) -> jax.Array:
    return values.mean(_FRAME) if spatial_norm else values.sum(_FRAME)
