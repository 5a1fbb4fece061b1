"""Errors and similarities of a predicted frame and the true one, by OpenSTL's protocol.

All compute in float32 or higher and raise ValueError if the two shapes differ.
"""

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from pallas_kernels import ssim as structural_similarity
from pallas_kernels.ssim import Weights, gaussian_window, uniform_window
from pdr_jax.arrays import on_pairs

_FRAME = (-3, -2, -1)


@on_pairs
def mse(
    prediction: Float[Array, "*B H W C"],
    target: Float[Array, "*B H W C"],
    *,
    spatial_norm: bool = False,
) -> Float[Array, "*B"]:
    """Squared error of a frame, SUMMED over H, W, C (OpenSTL); `spatial_norm` averages instead."""
    return _reduce((prediction - target) ** 2, spatial_norm)


@on_pairs
def mae(
    prediction: Float[Array, "*B H W C"],
    target: Float[Array, "*B H W C"],
    *,
    spatial_norm: bool = False,
) -> Float[Array, "*B"]:
    """Absolute error of a frame, SUMMED over H, W, C (OpenSTL); `spatial_norm` averages instead."""
    return _reduce(jnp.abs(prediction - target), spatial_norm)


@on_pairs
def psnr(
    prediction: Float[Array, "*B H W C"], target: Float[Array, "*B H W C"]
) -> Float[Array, "*B"]:
    """PSNR of a frame in dB: float arithmetic, peak 1, error averaged over H, W, C; inf if equal.

    OpenSTL and `Evaluator` clip the prediction to [0, 1] first; this function does not. Code that
    rounds both frames to 8 bits before (E3D-LSTM, PredRNN) gives the same up to that rounding;
    `psnr_uint8` is another quantity.
    """
    return -10.0 * jnp.log10(mse(prediction, target, spatial_norm=True))


@on_pairs
def psnr_uint8(
    prediction: Float[Array, "*B H W C"], target: Float[Array, "*B H W C"]
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
    return 20.0 * jnp.log10(255.0) - 10.0 * jnp.log10(square.mean(_FRAME))


@on_pairs
def snr(
    prediction: Float[Array, "*B H W C"], target: Float[Array, "*B H W C"]
) -> Float[Array, "*B"]:
    """Signal-to-noise ratio of a frame in dB, 10 log10(mean target^2 / mean error^2)."""
    return 10.0 * jnp.log10(
        jnp.mean(target**2, _FRAME) / mse(prediction, target, spatial_norm=True)
    )


@on_pairs
def ssim(
    prediction: Float[Array, "*B H W C"],
    target: Float[Array, "*B H W C"],
    *,
    data_range: float = 2.0,
) -> Float[Array, "*B"]:
    """OpenSTL's SSIM of a frame: 7x7 uniform window, sample covariance, DATA RANGE 2, channel mean.

    scikit-image <= 0.19 assumed a range of 2 for float images, also for data in [0, 1]. Figures are
    higher than with the data's own range, which is the metric "ssim_range1" (`data_range=1.0`).
    Windows that leave the frame are not counted.

    Raises:
      ValueError: a frame smaller than 7x7.
    """
    return _mean_ssim(
        prediction, target, uniform_window(7), data_range=data_range, sample_covariance=True
    )


@on_pairs
def ssim_gaussian(
    prediction: Float[Array, "*B H W C"],
    target: Float[Array, "*B H W C"],
    *,
    data_range: float = 1.0,
) -> Float[Array, "*B"]:
    """SSIM of a frame as first published: 11x11 Gaussian window of sigma 1.5, data range 1.

    Equals scikit-image with `gaussian_weights=True, sigma=1.5, use_sample_covariance=False`.

    Raises:
      ValueError: a frame smaller than 11x11.
    """
    return _mean_ssim(prediction, target, gaussian_window(), data_range=data_range)


def _mean_ssim(
    prediction: Array,
    target: Array,
    window: Weights,
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
    return structural_similarity(
        prediction,
        target,
        windows=(window, window),
        data_range=data_range,
        sample_covariance=sample_covariance,
    )


def _reduce(values: Array, spatial_norm: bool) -> Array:
    return values.mean(_FRAME) if spatial_norm else values.sum(_FRAME)
