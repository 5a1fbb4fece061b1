"""Quantities of each frame, from whose means the figures are made."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float

from pdr_jax.metrics import fidelity, statistics, weather

Value = Callable[[], Array]

OVER_CLIPS = ("mean_prediction", "mean_target")
"""Quantities that are frames: averaged over clips, then squared and summed at each step."""


@dataclass(frozen=True)
class Units:
    """How frames in model units become what is measured; fields as in `Evaluator`."""

    mean: np.ndarray
    std: np.ndarray
    low: np.ndarray
    high: np.ndarray
    spatial_norm: bool
    groups: tuple[str, ...]
    weights: np.ndarray | None
    climatology: np.ndarray | None

    def check(self, shape: tuple[int, ...]) -> None:
        """Raises ValueError unless the units fit clips of this shape, (B, T, H, W, C)."""
        height, width, channels = shape[-3:]
        ranges = {"mean": self.mean, "std": self.std, "data_range": self.low + self.high}
        for name, value in ranges.items():
            if value.shape not in ((), (1,), (channels,)):
                raise ValueError(
                    f"{name} has shape {value.shape}; expected a number or one for each of the "
                    f"{channels} channels"
                )
        if self.groups and channels % len(self.groups):
            raise ValueError(
                f"{channels} channels cannot be split into {len(self.groups)} equal groups "
                f"{self.groups}"
            )
        if self.weights is not None and len(self.weights) != height:
            raise ValueError(
                f"latitudes has {len(self.weights)} values; the frames have {height} rows"
            )
        if self.climatology is not None and self.climatology.shape != (height, width, channels):
            raise ValueError(
                f"climatology has shape {self.climatology.shape}; the frames have "
                f"{(height, width, channels)}"
            )


def unit_frames(
    prediction: Float[Array, "B T H W C"], target: Float[Array, "B T H W C"], *, units: Units
) -> tuple[Float[Array, "B T H W C"], Float[Array, "B T H W C"]]:
    """Both clips with the data range scaled to [0, 1]; the prediction is clipped to it."""
    x, y = (_scaled(clip, units) for clip in (prediction, target))
    offset = _channels(units.mean - units.low)
    height = _channels(units.high - units.low)
    return jnp.clip((x + offset) / height, 0.0, 1.0), (y + offset) / height


def frame_values(
    prediction: Float[Array, "B T H W C"],
    target: Float[Array, "B T H W C"],
    chosen: Bool[Array, " B"],
    extra: Mapping[str, Callable[[Array, Array], Array]],
    *,
    wanted: frozenset[str],
    units: Units,
) -> dict[str, Float[Array, "..."]]:
    """The wanted quantities: (B, T) each, but those of `OVER_CLIPS` are (T, H, W, C).

    The latter are summed over the `chosen` clips.
    """
    # Differences are taken of clips without the mean: adding it would cost them digits.
    x, y = (_scaled(clip, units) for clip in (prediction, target))
    unit, true_unit = unit_frames(prediction, target, units=units)
    values: dict[str, Value] = {
        **_errors(x, y, units),
        **_statistics(x, y, chosen, units),
        "psnr": lambda: fidelity.psnr(unit, true_unit),
        "psnr_uint8": lambda: fidelity.psnr_uint8(unit, true_unit),
        "snr": lambda: fidelity.snr(unit, true_unit),
        "ssim": lambda: fidelity.ssim(unit, true_unit),
        "ssim_range1": lambda: fidelity.ssim(unit, true_unit, data_range=1.0),
        "ssim_gaussian": lambda: fidelity.ssim_gaussian(unit, true_unit),
        **{name: partial(function, unit, true_unit) for name, function in extra.items()},
    }
    return {name: values[name]() for name in sorted(wanted & values.keys())}


def _errors(x: Array, y: Array, units: Units) -> dict[str, Value]:
    """Errors in the data's units, over all channels and over each group."""
    channels = x.shape[-1]
    width = channels // max(len(units.groups), 1)
    parts = {"": slice(None)}
    for index, name in enumerate(units.groups):
        parts[f"_{name}"] = slice(index * width, (index + 1) * width)
    values: dict[str, Value] = {}
    for suffix, part in parts.items():
        p, t = x[..., part], y[..., part]
        values["mse" + suffix] = partial(fidelity.mse, p, t, spatial_norm=units.spatial_norm)
        values["mae" + suffix] = partial(fidelity.mae, p, t, spatial_norm=units.spatial_norm)
        if units.weights is None:
            continue
        weights = jnp.asarray(units.weights, jnp.float32).reshape(1, 1, -1, 1, 1)
        values["mse_weighted" + suffix] = partial(weather.weighted_mse, p, t, weights)
        values["mae_weighted" + suffix] = partial(weather.weighted_mae, p, t, weights)
        values["rmse_weighted_frame" + suffix] = partial(weather.weighted_rmse, p, t, weights)
        if units.climatology is not None:
            # Without the mean, like x and y.
            normal = jnp.asarray(units.climatology - units.mean, jnp.float32)[None, None, ..., part]
            values["acc" + suffix] = partial(weather.anomaly_correlation, p, t, weights, normal)
    return values


def _statistics(x: Array, y: Array, chosen: Array, units: Units) -> dict[str, Value]:
    """Statistics of the predictions and of the truth."""
    centre = (units.low + units.high) / 2
    offset, height = _channels(units.mean - centre), _channels(units.high - units.low)
    keep = chosen.reshape(-1, 1, 1, 1, 1)
    values: dict[str, Value] = {}
    for name, clip in (("prediction", x), ("target", y)):
        # Diversity takes a variance from these: about the centre of the range it keeps its digits.
        centred = (clip + offset) / height
        values[f"edges_{name}"] = partial(statistics.gradient_magnitude, clip)
        values[f"fine_{name}"] = partial(statistics.fine_power, clip)
        for index, moment in enumerate(("m2", "m4")):
            values[f"{moment}_{name}"] = partial(_central_moment, clip, index)
        values[f"square_{name}"] = partial(_squared_norm, centred)
        values[f"mean_{name}"] = partial(_sum_over_clips, centred, keep)
    return values


def _central_moment(clip: Array, index: int) -> Array:
    return statistics.central_moments(clip)[index]


def _squared_norm(clip: Array) -> Array:
    return (clip**2).sum((-3, -2, -1))


def _sum_over_clips(clip: Array, keep: Array) -> Array:
    return jnp.where(keep, clip, 0.0).sum(0)


def _scaled(clip: Array, units: Units) -> Array:
    return clip.astype(jnp.float32) * _channels(units.std)


def _channels(value: np.ndarray) -> Array:
    return jnp.asarray(value, jnp.float32).reshape(1, 1, 1, 1, -1)
