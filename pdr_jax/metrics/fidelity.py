"""Errors and similarities of a predicted frame and the true one, by OpenSTL's protocol.

All compute in float32 or higher and raise ValueError if the two shapes differ. Given `valid`, they
are of the pixels that are; a frame without any has NaN.
"""

import math
from typing import Any

import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float

from pallas_kernels import ssim as structural_similarity
from pallas_kernels.ssim import Weights, gaussian_window, ssim_map, uniform_window, whole_windows
from pdr_jax.arrays import on_pairs

_FRAME = (-3, -2, -1)
Valid = Bool[Array, "*B H W C"] | None
"""Which pixels are compared; None for all."""


@on_pairs
def mse(
    prediction: Float[Array, "*B H W C"],
    target: Float[Array, "*B H W C"],
    *,
    spatial_norm: bool = False,
    valid: Valid = None,
) -> Float[Array, "*B"]:
    """Squared error of a frame, SUMMED over H, W, C (OpenSTL); `spatial_norm` averages instead.

    Of a frame with invalid pixels the sum is the mean over the others, times H W C.
    """
    return _reduce((prediction - target) ** 2, spatial_norm, valid)


@on_pairs
def mae(
    prediction: Float[Array, "*B H W C"],
    target: Float[Array, "*B H W C"],
    *,
    spatial_norm: bool = False,
    valid: Valid = None,
) -> Float[Array, "*B"]:
    """Absolute error of a frame, SUMMED over H, W, C (OpenSTL); `spatial_norm` averages instead.

    Of a frame with invalid pixels the sum is the mean over the others, times H W C.
    """
    return _reduce(jnp.abs(prediction - target), spatial_norm, valid)


@on_pairs
def psnr(
    prediction: Float[Array, "*B H W C"], target: Float[Array, "*B H W C"], *, valid: Valid = None
) -> Float[Array, "*B"]:
    """PSNR of a frame in dB: float arithmetic, peak 1, error averaged over H, W, C; inf if equal.

    OpenSTL and `Evaluator` clip the prediction to [0, 1] first; this function does not. Code that
    rounds both frames to 8 bits before (E3D-LSTM, PredRNN) gives the same up to that rounding;
    `psnr_uint8` is another quantity.
    """
    return -10.0 * jnp.log10(mse(prediction, target, spatial_norm=True, valid=valid))


@on_pairs
def psnr_uint8(
    prediction: Float[Array, "*B H W C"], target: Float[Array, "*B H W C"], *, valid: Valid = None
) -> Float[Array, "*B"]:
    """The PSNR of the SimVP and TAU papers, in dB a frame: peak 255, arithmetic in uint8.

    Frames in [0, 1] are multiplied by 255 and cut to whole numbers (here both are clipped first).
    Their difference is squared in uint8, where only the remainder by 256 is kept: an error of 16 or
    32 grey levels counts as none. Figures are therefore several dB above `psnr` (KTH: 33.7 against
    27), never below 24, and a better prediction may have a lower one: use it to stand beside those
    papers' figures only. inf if every square is a multiple of 256.

    Source: API/metrics.py of SimVP's published code; the papers' other figures are as OpenSTL's.
    """
    levels = (jnp.floor(255.0 * jnp.clip(x, 0.0, 1.0)) for x in (prediction, target))
    # Floats hold these squares exactly, and unlike integers they keep NaN.
    square = jnp.square(next(levels) - next(levels)) % 256.0
    return 20.0 * jnp.log10(255.0) - 10.0 * jnp.log10(_reduce(square, True, valid))


@on_pairs
def snr(
    prediction: Float[Array, "*B H W C"], target: Float[Array, "*B H W C"], *, valid: Valid = None
) -> Float[Array, "*B"]:
    """Signal-to-noise ratio of a frame in dB, 10 log10(mean target^2 / mean error^2)."""
    signal = _reduce(target**2, True, valid)
    error = mse(prediction, target, spatial_norm=True, valid=valid)
    return 10.0 * jnp.log10(signal / error)


@on_pairs
def ssim(
    prediction: Float[Array, "*B H W C"],
    target: Float[Array, "*B H W C"],
    *,
    data_range: float = 2.0,
    valid: Valid = None,
) -> Float[Array, "*B"]:
    """OpenSTL's SSIM of a frame: 7x7 uniform window, sample covariance, DATA RANGE 2, channel mean.

    scikit-image <= 0.19 assumed a range of 2 for float images, also for data in [0, 1]. Figures are
    higher than with the data's own range, which is the metric "ssim_range1" (`data_range=1.0`).
    Windows that leave the frame are not counted, nor those with an invalid pixel.

    Raises:
      ValueError: a frame smaller than 7x7.
    """
    return _mean_ssim(
        prediction,
        target,
        uniform_window(7),
        valid,
        data_range=data_range,
        sample_covariance=True,
    )


@on_pairs
def ssim_gaussian(
    prediction: Float[Array, "*B H W C"],
    target: Float[Array, "*B H W C"],
    *,
    data_range: float = 1.0,
    valid: Valid = None,
) -> Float[Array, "*B"]:
    """SSIM of a frame as first published: 11x11 Gaussian window of sigma 1.5, data range 1.

    Equals scikit-image with `gaussian_weights=True, sigma=1.5, use_sample_covariance=False`.

    Raises:
      ValueError: a frame smaller than 11x11.
    """
    return _mean_ssim(prediction, target, gaussian_window(), valid, data_range=data_range)


def _mean_ssim(
    prediction: Array,
    target: Array,
    window: Weights,
    valid: Array | None,
    *,
    data_range: float,
    sample_covariance: bool = False,
) -> Array:
    height, width = prediction.shape[-3:-1]
    size = len(window)
    if min(height, width) < size:
        raise ValueError(
            f"frames are {height}x{width}; this SSIM needs at least {size}x{size} pixels: "
            "leave it out of `names`"
        )
    windows = window, window
    options: dict[str, Any] = {"data_range": data_range, "sample_covariance": sample_covariance}
    if valid is None:
        return structural_similarity(prediction, target, windows=windows, **options)
    filled = jnp.where(valid, target, prediction)
    similarity = ssim_map(prediction, filled, windows=windows, **options)
    return _reduce(similarity, True, whole_windows(valid, windows))


def _reduce(values: Array, spatial_norm: bool, valid: Array | None) -> Array:
    if valid is None:
        return values.mean(_FRAME) if spatial_norm else values.sum(_FRAME)
    mean = jnp.where(valid, values, 0.0).sum(_FRAME) / valid.sum(_FRAME)
    return mean if spatial_norm else mean * math.prod(values.shape[-3:])
