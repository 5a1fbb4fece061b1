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
    missing: bool

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

    The latter are summed over the `chosen` clips. Where values may be missing, NaN in a target
    marks them, and a frame that has none of what a quantity needs has NaN. Functions in `extra` see
    the prediction in their place.
    """
    # Differences are taken of clips without the mean: adding it would cost them digits.
    x, y = (_scaled(clip, units) for clip in (prediction, target))
    unit, true_unit = unit_frames(prediction, target, units=units)
    valid = ~jnp.isnan(target) if units.missing else None
    on_unit = partial(partial, prediction=unit, target=true_unit, valid=valid)
    values: dict[str, Value] = {
        **_errors(x, y, valid, units),
        **_statistics(x, y, valid, chosen, units),
        "psnr": on_unit(fidelity.psnr),
        "psnr_uint8": on_unit(fidelity.psnr_uint8),
        "snr": on_unit(fidelity.snr),
        "ssim": on_unit(fidelity.ssim),
        "ssim_range1": on_unit(fidelity.ssim, data_range=1.0),
        "ssim_gaussian": on_unit(fidelity.ssim_gaussian),
        **{name: partial(_of_whole, f, unit, true_unit, valid) for name, f in extra.items()},
    }
    return {name: values[name]() for name in sorted(wanted & values.keys())}


def _of_whole(
    function: Callable[[Array, Array], Array], x: Array, y: Array, valid: Array | None
) -> Array:
    """A metric of whole frames."""
    if valid is None:
        return function(x, y)
    return jnp.where(valid.any((-3, -2, -1)), function(x, jnp.where(valid, y, x)), jnp.nan)


def _errors(x: Array, y: Array, valid: Array | None, units: Units) -> dict[str, Value]:
    """Errors in the data's units, over all channels and over each group."""
    channels = x.shape[-1]
    width = channels // max(len(units.groups), 1)
    parts = {"": slice(None)}
    for index, name in enumerate(units.groups):
        parts[f"_{name}"] = slice(index * width, (index + 1) * width)
    values: dict[str, Value] = {}
    for suffix, part in parts.items():
        p, t = x[..., part], y[..., part]
        v = None if valid is None else valid[..., part]
        norm = units.spatial_norm
        values["mse" + suffix] = partial(fidelity.mse, p, t, spatial_norm=norm, valid=v)
        values["mae" + suffix] = partial(fidelity.mae, p, t, spatial_norm=norm, valid=v)
        if units.weights is None:
            continue
        weights = jnp.asarray(units.weights, jnp.float32).reshape(1, 1, -1, 1, 1)
        values["mse_weighted" + suffix] = partial(weather.weighted_mse, p, t, weights, v)
        values["mae_weighted" + suffix] = partial(weather.weighted_mae, p, t, weights, v)
        values["rmse_weighted_frame" + suffix] = partial(weather.weighted_rmse, p, t, weights, v)
        if units.climatology is not None:
            # Without the mean, like x and y.
            normal = jnp.asarray(units.climatology - units.mean, jnp.float32)[None, None, ..., part]
            values["acc" + suffix] = partial(weather.anomaly_correlation, p, t, weights, normal, v)
    return values


def _statistics(
    x: Array, y: Array, valid: Array | None, chosen: Array, units: Units
) -> dict[str, Value]:
    """Statistics of the predictions and of the truth."""
    centre = (units.low + units.high) / 2
    offset, height = _channels(units.mean - centre), _channels(units.high - units.low)
    keep = chosen.reshape(-1, 1, 1, 1, 1)
    values: dict[str, Value] = {}
    for name, clip in (("prediction", x), ("target", y)):
        # Diversity takes a variance from these: about the centre of the range it keeps its digits.
        centred = (clip + offset) / height
        values[f"edges_{name}"] = partial(statistics.gradient_magnitude, clip, valid)
        values[f"fine_{name}"] = partial(statistics.fine_power, clip, valid)
        for index, moment in enumerate(("m2", "m4")):
            values[f"{moment}_{name}"] = partial(_central_moment, clip, valid, index)
        values[f"square_{name}"] = partial(_squared_norm, centred)
        values[f"mean_{name}"] = partial(_sum_over_clips, centred, keep)
    return values


def _central_moment(clip: Array, valid: Array | None, index: int) -> Array:
    return statistics.central_moments(clip, valid)[index]


def _squared_norm(clip: Array) -> Array:
    return (clip**2).sum((-3, -2, -1))


def _sum_over_clips(clip: Array, keep: Array) -> Array:
    return jnp.where(keep, clip, 0.0).sum(0)


def _scaled(clip: Array, units: Units) -> Array:
    return clip.astype(jnp.float32) * _channels(units.std)


def _channels(value: np.ndarray) -> Array:
    return jnp.asarray(value, jnp.float32).reshape(1, 1, 1, 1, -1)
