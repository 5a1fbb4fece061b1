"""Latitude-weighted errors and the anomaly correlation of the WeatherBench papers.

A grid's rows shrink towards the poles, so errors are weighted by cos(latitude) / mean(cos). On
regular grids without a row at a pole these are also the cell areas that WeatherBench 2 takes.

* Rasp et al., "WeatherBench", JAMES 2020: RMSE is the mean over forecasts of the weighted root mean
  squared error of each ("rmse_weighted_frame"). The paper's published code takes one root over all
  forecasts instead, as WeatherBench 2 does.
* Rasp et al., "WeatherBench 2", JAMES 2024: RMSE is the root of the mean over forecasts
  ("rmse_weighted"); ACC is the mean over forecasts of the weighted, uncentred correlation of
  anomalies ("acc"). WeatherBench 1 centres the anomalies and divides sums over all forecasts.

Given `valid`, sums and weights are of the pixels that are; a frame without any has NaN.
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float

from pdr_jax.arrays import AnyArray, on_pairs

_FRAME = (-3, -2, -1)
Valid = Bool[Array, "*B H W C"] | None


def latitude_weights(latitudes: Sequence[float] | np.ndarray) -> Float[np.ndarray, " H"]:
    """cos(latitude) / mean(cos(latitude)) of the rows, float64; latitudes in degrees.

    Raises:
      ValueError: not one number from -90 to 90 for each row.
    """
    degrees = np.asarray(latitudes, np.float64)
    if degrees.ndim != 1 or not (np.abs(degrees) <= 90.0).all():
        raise ValueError(
            f"latitudes is {latitudes!r}; expected one number from -90 to 90 for each row"
        )
    weights = np.cos(np.deg2rad(degrees))
    return weights / weights.mean()


@on_pairs
def weighted_mse(
    prediction: Float[Array, "*B H W C"],
    target: Float[Array, "*B H W C"],
    weights: Float[AnyArray, "*#B H #W #C"],
    valid: Valid = None,
) -> Float[Array, "*B"]:
    """Weighted squared error of a frame, averaged over H, W, C."""
    return _mean(weights, (prediction - target) ** 2, valid)


@on_pairs
def weighted_rmse(
    prediction: Float[Array, "*B H W C"],
    target: Float[Array, "*B H W C"],
    weights: Float[AnyArray, "*#B H #W #C"],
    valid: Valid = None,
) -> Float[Array, "*B"]:
    """Root of `weighted_mse`."""
    return jnp.sqrt(weighted_mse(prediction, target, weights, valid))


@on_pairs
def weighted_mae(
    prediction: Float[Array, "*B H W C"],
    target: Float[Array, "*B H W C"],
    weights: Float[AnyArray, "*#B H #W #C"],
    valid: Valid = None,
) -> Float[Array, "*B"]:
    """Weighted absolute error of a frame, averaged over H, W, C."""
    return _mean(weights, jnp.abs(prediction - target), valid)


@on_pairs
def anomaly_correlation(
    prediction: Float[Array, "*B H W C"],
    target: Float[Array, "*B H W C"],
    weights: Float[AnyArray, "*#B H #W #C"],
    climatology: Float[AnyArray, "*#B H W C"],
    valid: Valid = None,
) -> Float[Array, "*B"]:
    """Weighted correlation of two frames' differences from the climatology, in [-1, 1].

    The differences are not centred. Channels are correlated one by one and then averaged.
    """
    p, y = prediction - climatology, target - climatology
    if valid is not None:
        p, y = (jnp.where(valid, anomaly, 0.0) for anomaly in (p, y))
    covariance, p2, y2 = (jnp.sum(weights * product, (-3, -2)) for product in (p * y, p * p, y * y))
    correlation = covariance / jnp.sqrt(p2 * y2)
    if valid is not None:
        return jnp.nanmean(jnp.where(valid.any((-3, -2)), correlation, jnp.nan), -1)
    return jnp.mean(correlation, -1)


def _mean(weights: AnyArray, errors: Array, valid: Array | None) -> Array:
    """The weighted mean of each frame; the weights of a whole frame have the mean 1."""
    if valid is None:
        return jnp.mean(weights * errors, _FRAME)
    there = jnp.where(valid, weights, 0.0)
    return jnp.where(valid, weights * errors, 0.0).sum(_FRAME) / there.sum(_FRAME)
