"""Metrics by OpenSTL's protocol, so that figures can stand beside published ones.

The per-frame functions map (..., H, W, C) pairs to (...); `Evaluator` streams batches through them.
`METRICS` says of each what it means and which direction is better.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from pallas_kernels import ssim as structural_similarity
from pallas_kernels.ssim import Weights, gaussian_window, uniform_window

FrameMetric = Callable[[jax.Array, jax.Array], jax.Array]
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


def gradient_magnitude(frames: jax.Array) -> jax.Array:
    """Sum over a frame's pixels and channels of |(dx, dy)|, by forward differences."""
    dx = frames[..., :-1, 1:, :] - frames[..., :-1, :-1, :]
    dy = frames[..., 1:, :-1, :] - frames[..., :-1, :-1, :]
    return _reduce(jnp.sqrt(dx**2 + dy**2), spatial_norm=False)


@dataclass(frozen=True)
class Metric:
    """One reported figure.

    Attributes:
      better: which direction is better; "one" for a ratio that should be 1.
      convention: what is computed, in a line for tables and captions.
      sums: names of the per-frame quantities whose mean over frames `finish` turns into the figure.
      finish: from those means to the figure; applied once, at the end.
    """

    better: Literal["lower", "higher", "one"]
    convention: str
    sums: tuple[str, ...]
    finish: Callable[..., np.ndarray] = lambda mean: mean


METRICS: Mapping[str, Metric] = {
    "mse": Metric("lower", "squared error summed over H, W, C of a frame, not clipped", ("mse",)),
    "mae": Metric("lower", "absolute error summed over H, W, C of a frame, not clipped", ("mae",)),
    "rmse": Metric("lower", "square root of mse, taken once over all frames", ("mse",), np.sqrt),
    "psnr": Metric("higher", "dB a frame, peak 1, prediction clipped to [0, 1]", ("psnr",)),
    "ssim": Metric("higher", "OpenSTL: 7x7 uniform window, data range 2, clipped", ("ssim",)),
    "ssim_range1": Metric("higher", "7x7 uniform window, data range 1, clipped", ("ssim_range1",)),
    "ssim_gaussian": Metric(
        "higher", "11x11 Gaussian window, sigma 1.5, data range 1, clipped", ("ssim_gaussian",)
    ),
    "snr": Metric("higher", "dB a frame, prediction clipped to [0, 1]", ("snr",)),
    "sharpness": Metric(
        "one",
        "gradient magnitude summed over all predictions / the same of the truth, not clipped",
        ("edges_prediction", "edges_target"),
        np.divide,
    ),
}
"""The metrics that `Evaluator` knows by name, with their direction and convention."""

BETTER: Mapping[str, Literal["lower", "higher", "one"]] = {
    **{name: metric.better for name, metric in METRICS.items()},
    "st_lpips_alex": "lower",
}
"""Direction of every figure that reports rank."""

DEFAULT = ("mse", "mae", "rmse", "psnr", "ssim", "ssim_range1", "sharpness")


class Evaluator:
    """Metrics over a test set that arrives in batches; the figures do not depend on the batch size.

    ```
    evaluator = Evaluator(("mse", "ssim"))
    for prediction, target in batches:
        evaluator.update(prediction, target)
    evaluator.compute()     # {"mse": ..., "ssim": ...}
    evaluator.per_frame()   # {"mse": (T,), "ssim": (T,)}: over the horizon
    ```

    Per-frame values are computed on the device in float32 and summed on the host in float64. A NaN
    in a prediction makes its figures NaN.

    Args:
      names: keys of `METRICS`.
      spatial_norm: mse and mae (hence rmse) averaged over H, W, C instead of summed, as OpenSTL
        does for weather.
      mean: subtracted at normalisation, a number or (C,); both clips become x * std + mean first,
        so that figures are in the data's units.
      std: as `mean`.
      data_range: (low, high) of the denormalised data. psnr, snr and the ssims see (x - low) /
        (high - low), the prediction clipped to [0, 1]; the truth is never clipped.
      channel_names: report mse, mae and rmse of each of these equal groups of channels too
        ("mse_t", ...), and "mse" as the mean over the groups (OpenSTL's multi-variable weather).
      extra: further metrics by name, jax functions of (B, T, H, W, C) pairs scaled as for psnr to
        (B, T), for example `perceptual.load_st_lpips_alex(path)`.
      keep_samples: keep the values of every clip for `per_sample`.

    Raises:
      ValueError: an unknown or repeated name, or an argument out of range.
    """

    def __init__(
        self,
        names: tuple[str, ...] = DEFAULT,
        *,
        spatial_norm: bool = False,
        mean: float | np.ndarray = 0.0,
        std: float | np.ndarray = 1.0,
        data_range: tuple[float, float] = (0.0, 1.0),
        channel_names: tuple[str, ...] = (),
        extra: Mapping[str, FrameMetric] | None = None,
        keep_samples: bool = False,
    ):
        extra = dict(extra or {})
        for name in names:
            if name not in METRICS:
                raise ValueError(
                    f"unknown metric {name!r}; the metrics are {', '.join(METRICS)} "
                    "(others go into `extra`)"
                )
        for name in extra:
            if name in METRICS:
                raise ValueError(f"extra metric {name!r} has the name of a built-in one: rename it")
        low, high = (float(bound) for bound in data_range)
        if not high > low:
            raise ValueError(f"data_range is {data_range!r}; expected (low, high) with low < high")
        self.metrics: dict[str, Metric] = {name: METRICS[name] for name in names}
        for name in names:
            if METRICS[name].sums[0] in ("mse", "mae"):
                parts = tuple(f"{METRICS[name].sums[0]}_{group}" for group in channel_names)
                for group, part in zip(channel_names, parts, strict=True):
                    metric = METRICS[name]
                    self.metrics[f"{name}_{group}"] = Metric(
                        metric.better, f"{metric.convention}; {group}", (part,), metric.finish
                    )
                if parts:
                    self.metrics[name] = _mean_over_groups(METRICS[name], parts)
        for name in extra:
            self.metrics[name] = Metric(BETTER.get(name, "lower"), "see its function", (name,))
        wanted = {quantity for metric in self.metrics.values() for quantity in metric.sums}
        self._frame_values = jax.jit(
            partial(
                _frame_values,
                wanted=frozenset(wanted),
                spatial_norm=spatial_norm,
                mean=np.asarray(mean, np.float32),
                std=np.asarray(std, np.float32),
                low=low,
                high=high,
                channel_names=channel_names,
            )
        )
        # As arguments of the jitted function: a metric's weights must not become its constants.
        self._extra = {name: Partial(function) for name, function in extra.items()}
        self._keep_samples = keep_samples
        self.reset()

    def reset(self) -> None:
        """Forget all batches."""
        self.count = 0
        self._sums: dict[str, np.ndarray] = {}
        self._samples: list[dict[str, np.ndarray]] = []

    def update(
        self, prediction: jax.Array, target: jax.Array, valid: np.ndarray | None = None
    ) -> None:
        """Add a batch.

        Args:
          prediction: (B, T, H, W, C) float.
          target: (B, T, H, W, C) float.
          valid: (B,) bool; False marks clips that only fill up a batch and are not counted.

        Raises:
          ValueError: shapes that do not fit each other or the batches before.
          TypeError: integer frames, which are not in model units.
        """
        if np.ndim(prediction) != 5 or np.shape(prediction) != np.shape(target):
            raise ValueError(
                f"prediction has shape {np.shape(prediction)}, target {np.shape(target)}; "
                "expected (B, T, H, W, C) for both"
            )
        for name, clip in (("prediction", prediction), ("target", target)):
            if not jnp.issubdtype(clip.dtype, jnp.floating):
                raise TypeError(f"{name} is {clip.dtype}; expected floats in model units")
        batch, length = np.shape(prediction)[:2]
        chosen = np.ones(batch, bool) if valid is None else np.asarray(valid)
        if chosen.shape != (batch,) or chosen.dtype != bool:
            raise ValueError(
                f"valid is {chosen.dtype} of shape {chosen.shape}; expected bool ({batch},)"
            )
        values = {
            name: np.asarray(value, np.float64)[chosen]
            for name, value in self._frame_values(prediction, target, self._extra).items()
        }
        if self._sums and length != len(next(iter(self._sums.values()))):
            before = len(next(iter(self._sums.values())))
            raise ValueError(
                f"clips of {length} frames after clips of {before}; use one Evaluator each"
            )
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value.sum(0)
        self.count += int(chosen.sum())
        if self._keep_samples:
            self._samples.append(values)

    def compute(self) -> dict[str, float]:
        """Every figure over all frames of all clips."""
        means = {name: total.mean() / self.count for name, total in self._totals().items()}
        return {name: float(value) for name, value in self._finish(means).items()}

    def per_frame(self) -> dict[str, np.ndarray]:
        """Every figure at each step of the horizon, (T,)."""
        return self._finish({name: total / self.count for name, total in self._totals().items()})

    def per_sample(self) -> dict[str, np.ndarray]:
        """Every figure of each clip over its frames, (clips,), in the order of `update`."""
        if not self._keep_samples:
            raise ValueError("per_sample needs Evaluator(..., keep_samples=True)")
        return self._finish(
            {
                name: np.concatenate([batch[name] for batch in self._samples]).mean(1)
                for name in self._totals()
            }
        )

    def _totals(self) -> dict[str, np.ndarray]:
        if self.count == 0:
            raise ValueError("no clips were evaluated: call update() first")
        return self._sums

    def _finish(self, means: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        with np.errstate(divide="ignore", invalid="ignore"):
            return {
                name: metric.finish(*(means[quantity] for quantity in metric.sums))
                for name, metric in self.metrics.items()
            }


def _frame_values(
    prediction: jax.Array,
    target: jax.Array,
    extra: Mapping[str, FrameMetric],
    *,
    wanted: frozenset[str],
    spatial_norm: bool,
    mean: np.ndarray,
    std: np.ndarray,
    low: float,
    high: float,
    channel_names: tuple[str, ...],
) -> dict[str, jax.Array]:
    """The wanted quantities, (B, T) each."""
    channels = prediction.shape[-1]
    for name, value in (("mean", mean), ("std", std)):
        if value.shape not in ((), (1,), (channels,)):
            raise ValueError(
                f"{name} has shape {value.shape}; expected a number or one for each of the "
                f"{channels} channels"
            )
    if channel_names and channels % len(channel_names):
        raise ValueError(
            f"{channels} channels cannot be split into {len(channel_names)} equal groups "
            f"{channel_names}"
        )
    scale, shift = (jnp.asarray(value).reshape(1, 1, 1, 1, -1) for value in (std, mean))
    x, y = prediction.astype(jnp.float32) * scale, target.astype(jnp.float32) * scale
    # Differences are taken before the mean is added, which would cost them digits.
    values = {
        "mse": lambda: mse(x, y, spatial_norm=spatial_norm),
        "mae": lambda: mae(x, y, spatial_norm=spatial_norm),
        "edges_prediction": lambda: gradient_magnitude(x),
        "edges_target": lambda: gradient_magnitude(y),
    }
    width = channels // max(len(channel_names), 1)
    for index, name in enumerate(channel_names):
        part = slice(index * width, (index + 1) * width)
        for metric in (mse, mae):
            values[f"{metric.__name__}_{name}"] = partial(
                metric, x[..., part], y[..., part], spatial_norm=spatial_norm
            )
    true_unit = (y + (shift - low)) / (high - low)
    unit = jnp.clip((x + (shift - low)) / (high - low), 0.0, 1.0)
    values |= {
        "psnr": lambda: psnr(unit, true_unit),
        "snr": lambda: snr(unit, true_unit),
        "ssim": lambda: ssim(unit, true_unit),
        "ssim_range1": lambda: ssim(unit, true_unit, data_range=1.0),
        "ssim_gaussian": lambda: ssim_gaussian(unit, true_unit),
    }
    values |= {name: partial(function, unit, true_unit) for name, function in extra.items()}
    return {name: values[name]() for name in sorted(wanted)}


def _mean_over_groups(metric: Metric, parts: tuple[str, ...]) -> Metric:
    def finish(*means: np.ndarray) -> np.ndarray:
        return np.mean([metric.finish(mean) for mean in means], axis=0)

    return Metric(metric.better, f"{metric.convention}; mean over channel groups", parts, finish)


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
