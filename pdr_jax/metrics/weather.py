"""Latitude-weighted errors and the anomaly correlation of the WeatherBench papers.

A grid's rows shrink towards the poles, so errors are weighted by cos(latitude) / mean(cos). On
regular grids without a row at a pole these are also the cell areas that WeatherBench 2 takes.

* Rasp et al., "WeatherBench", JAMES 2020: RMSE = the mean over forecasts of each one's weighted
  root mean squared error ("rmse_weighted_frame"). Its published code takes one root over all
  forecasts instead, as does
* Rasp et al., "WeatherBench 2", JAMES 2024: the root of the mean over forecasts ("rmse_weighted");
  ACC = the mean over forecasts of the weighted, uncentred correlation of anomalies ("acc").
  (WeatherBench 1 centres them and divides sums over all forecasts.)
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

_FRAME = (-3, -2, -1)


def latitude_weights(latitudes: Sequence[float] | np.ndarray) -> np.ndarray:
    """cos(latitude) / mean(cos(latitude)) of the rows, (H,) float64.

    Raises:
      ValueError: not a row of degrees.
    """
    degrees = np.asarray(latitudes, np.float64)
    if degrees.ndim != 1 or not (np.abs(degrees) <= 90.0).all():
        raise ValueError(
            f"latitudes is {latitudes!r}; expected one number from -90 to 90 for each row"
        )
    weights = np.cos(np.deg2rad(degrees))
    return weights / weights.mean()


def weighted_mse(prediction: jax.Array, target: jax.Array, weights: jax.Array) -> jax.Array:
    """Weighted squared error of a frame, averaged over H, W, C; weights (1, ..., H, 1, 1)."""
    return (weights * (prediction - target) ** 2).mean(_FRAME)


def weighted_rmse(prediction: jax.Array, target: jax.Array, weights: jax.Array) -> jax.Array:
    """Root of `weighted_mse`."""
    return jnp.sqrt(weighted_mse(prediction, target, weights))


def weighted_mae(prediction: jax.Array, target: jax.Array, weights: jax.Array) -> jax.Array:
    """Weighted absolute error of a frame, averaged over H, W, C."""
    return (weights * jnp.abs(prediction - target)).mean(_FRAME)


def anomaly_correlation(
    prediction: jax.Array, target: jax.Array, weights: jax.Array, climatology: jax.Array
) -> jax.Array:
    """Weighted correlation of two frames' differences from the climatology, in [-1, 1].

    Anomalies are not centred. Channels are correlated one by one and averaged.
    """
    p, y = prediction - climatology, target - climatology
    covariance, p2, y2 = ((weights * product).sum((-3, -2)) for product in (p * y, p * p, y * y))
    return (covariance / jnp.sqrt(p2 * y2)).mean(-1)
