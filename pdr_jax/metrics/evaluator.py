"""Streams the batches of a test set through the metrics."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.tree_util import Partial
from jaxtyping import Float

from pdr_jax.arrays import AnyArray
from pdr_jax.metrics import quantities, warping
from pdr_jax.metrics.table import BETTER, DEFAULT, METRICS, Metric
from pdr_jax.metrics.weather import latitude_weights
from pdr_jax.sharding import on_host

FrameMetric = Callable[[Float[Array, "B T H W C"], Float[Array, "B T H W C"]], Float[Array, "B T"]]
"""A function of the predicted and the true clips."""


class Evaluator:
    """Metrics over a test set that arrives in batches; the figures do not depend on the batch size.

    ```
    evaluator = Evaluator(("mse", "ssim"))
    for prediction, target in batches:
        evaluator.update(prediction, target)
    evaluator.compute()     # {"mse": ..., "ssim": ...}
    evaluator.per_frame()   # {"mse": (T,), "ssim": (T,)}: over the horizon
    ```

    Values of a frame are computed on the device in float32 and summed on the host in float64. A NaN
    in a prediction makes its figures NaN. With `missing`, NaN in a target marks missing pixels:
    figures of a frame are of the others, and means are over the frames that have any (those of an
    SSIM: a window without a missing pixel). The attribute `metrics` maps the name of each figure to
    its `Metric`.

    Args:
      names: keys of `METRICS`.
      spatial_norm: average mse and mae (hence rmse) over H, W, C instead of summing, as OpenSTL
        does for weather.
      mean: what the normalisation subtracted, a number or (C,). Both clips first become
        x * std + mean, so that figures are in the data's units.
      std: what the normalisation divided by, a number or (C,).
      data_range: (low, high) of the denormalised data, numbers or (C,) each. The psnrs, snr, the
        ssims, the warping metrics and `extra` see (x - low) / (high - low), with the prediction
        clipped to [0, 1]; the truth is not clipped, but for psnr_uint8.
      channel_names: names of equal groups of channels. The errors (`Metric.by_group`) are also
        reported for each group ("mse_t", ...), and "mse" is the mean over the groups, as in
        OpenSTL's multi-variable weather.
      latitudes: of the rows, in degrees; the weighted metrics need them.
      climatology: (H, W, C) in the data's units, from which "acc" takes anomalies.
      flow: optical flow for the warping metrics, see `warping.Flow`; default OpenCV's.
      raft: optical flow for those named after RAFT, as `raft.load_raft` makes it.
      extra: further metrics by name. They see clips scaled as for psnr; an example is
        `perceptual.load_lpips_alex(trunk, heads)`.
      missing: whether targets may hold NaN. Metrics that compare clips with each other, or follow
        motion, need whole frames and are refused; `extra` sees the prediction in their place.
      keep_samples: keep the values of every clip for `per_sample` and `per_sample_frame`.

    Raises:
      ValueError: an unknown or repeated name, or an argument that is missing or out of range.
      ImportError: a warping metric without `flow` where OpenCV is not installed.
    """

    def __init__(
        self,
        names: tuple[str, ...] = DEFAULT,
        *,
        spatial_norm: bool = False,
        mean: float | np.ndarray = 0.0,
        std: float | np.ndarray = 1.0,
        data_range: tuple[float | np.ndarray, float | np.ndarray] = (0.0, 1.0),
        channel_names: tuple[str, ...] = (),
        latitudes: Sequence[float] | np.ndarray = (),
        climatology: np.ndarray | None = None,
        flow: warping.Flow | None = None,
        raft: warping.Flow | None = None,
        extra: Mapping[str, FrameMetric] | None = None,
        missing: bool = False,
        keep_samples: bool = False,
    ):
        extra = dict(extra or {})
        given = {
            "latitudes": len(latitudes) > 0,
            "climatology": climatology is not None,
            "flow": True,
            "raft": raft is not None,
        }
        _check_names(names, extra, given, missing)
        low, high = (np.asarray(bound, np.float64) for bound in data_range)
        if not (high > low).all():
            raise ValueError(f"data_range is {data_range!r}; expected (low, high) with low < high")
        self.metrics: dict[str, Metric] = {}
        for name in names:
            self.metrics |= _with_groups(name, METRICS[name], channel_names)
        for name in extra:
            self.metrics[name] = Metric(BETTER.get(name, "lower"), "see its function", (name,))
        self._units = quantities.Units(
            mean=np.asarray(mean, np.float64),
            std=np.asarray(std, np.float64),
            low=low,
            high=high,
            spatial_norm=spatial_norm,
            groups=channel_names,
            weights=latitude_weights(latitudes) if given["latitudes"] else None,
            climatology=None if climatology is None else np.asarray(climatology, np.float64),
            missing=missing,
        )
        wanted = frozenset(q for metric in self.metrics.values() for q in metric.sums)
        self._frame_values = jax.jit(
            partial(quantities.frame_values, wanted=wanted, units=self._units)
        )
        self._unit_frames = jax.jit(partial(quantities.unit_frames, units=self._units))
        # A `Partial` passes a metric's weights as arguments of the jitted function, not constants.
        self._extra = {name: Partial(function) for name, function in extra.items()}
        needs = {need for metric in self.metrics.values() for need in metric.needs}
        self._flows: dict[str, warping.TruthFlows] = {}
        if "flow" in needs:
            self._flows[""] = warping.TruthFlows(flow or warping.dis_flow())
        if raft is not None and "raft" in needs:
            self._flows["_raft"] = warping.TruthFlows(raft)
        self._keep_samples = keep_samples
        self.reset()

    def reset(self) -> None:
        """Forgets all batches."""
        self.count = 0
        self._sums: dict[str, np.ndarray] = {}
        self._present: dict[str, np.ndarray] = {}  # how many values each sum is of, with `missing`
        self._samples: list[dict[str, np.ndarray]] = []

    def update(
        self, prediction: AnyArray, target: AnyArray, valid: np.ndarray | None = None
    ) -> None:
        """Adds a batch.

        Args:
          prediction: (B, T, H, W, C) float, in model units.
          target: (B, T, H, W, C) float, in model units.
          valid: (B,) bool; False marks clips that only fill up a batch and are not counted.

        Raises:
          ValueError: shapes that do not fit each other, the units or earlier batches.
          TypeError: integer frames, which cannot be in model units.
        """
        chosen = self._check(prediction, target, valid)
        values = _as_float64(self._frame_values(prediction, target, chosen, self._extra))
        for suffix, flows in self._flows.items():
            values |= self._warping_values(prediction, target, flows, suffix)
        kept = {
            name: value[chosen]
            for name, value in values.items()
            if name not in quantities.OVER_CLIPS
        }
        if self._units.missing:
            broken = on_host(jnp.isnan(prediction).any((2, 3, 4)))[chosen]
            for name, value in kept.items():
                present = ~np.isnan(value) | broken
                count = present.sum(0, dtype=np.float64)
                self._present[name] = self._present.get(name, 0.0) + count
                values[name] = np.where(present, value, 0.0).sum(0)
        for name, value in values.items():
            total = kept[name].sum(0) if name in kept and not self._present else value
            self._sums[name] = self._sums.get(name, 0.0) + total
        self.count += int(chosen.sum())
        if self._keep_samples:
            self._samples.append(kept)

    def compute(self) -> dict[str, float]:
        """Every figure over all frames of all clips."""
        means = {name: mean.mean() for name, mean in self._means().items()}
        if self._present:
            with np.errstate(invalid="ignore"):
                means = {
                    name: np.divide(total.sum(), self._present[name].sum())
                    for name, total in self._sums.items()
                }
        return {name: float(value) for name, value in _finish(self.metrics, means).items()}

    def per_frame(self) -> dict[str, Float[np.ndarray, " T"]]:
        """Every figure at each step of the horizon; NaN where a step has none."""
        return _finish(self.metrics, self._means())

    def per_sample(self) -> dict[str, Float[np.ndarray, " clips"]]:
        """Every figure of each clip over its frames, in the order of `update`.

        Metrics that compare clips with each other ("diversity") are left out.
        """
        values = self._sample_values()
        mean = _mean_of_present if self._present else np.mean
        return _finish(self._metrics_of_clips(), {name: mean(v, 1) for name, v in values.items()})

    def per_sample_frame(self) -> dict[str, Float[np.ndarray, "clips T"]]:
        """Every figure of each frame of each clip, otherwise as `per_sample`."""
        return _finish(self._metrics_of_clips(), self._sample_values())

    def _check(
        self, prediction: AnyArray, target: AnyArray, valid: np.ndarray | None
    ) -> np.ndarray:
        """The clips that count, (B,) bool."""
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
        before = len(next(iter(self._sums.values()))) if self._sums else length
        if length != before:
            raise ValueError(
                f"clips of {length} frames after clips of {before}; use one Evaluator each"
            )
        self._units.check(np.shape(prediction))
        return chosen

    def _warping_values(
        self, prediction: AnyArray, target: AnyArray, flows: warping.TruthFlows, suffix: str
    ) -> dict[str, np.ndarray]:
        unit, true_unit = on_host(self._unit_frames(prediction, target))
        there, back = flows(true_unit)
        error, steps = warping.warping_error(unit, there, back)
        true_error, _ = warping.warping_error(true_unit, there, back)
        values = {
            f"warping_prediction{suffix}": error,
            f"warping_target{suffix}": true_error,
            f"warping_steps{suffix}": steps,
        }
        return _as_float64(values)

    def _means(self) -> dict[str, np.ndarray]:
        """Means over clips at each step, (T,)."""
        if self.count == 0:
            raise ValueError("no clips were evaluated: call update() first")
        if self._present:
            with np.errstate(invalid="ignore"):
                return {name: total / self._present[name] for name, total in self._sums.items()}
        means = {name: total / self.count for name, total in self._sums.items()}
        for name in quantities.OVER_CLIPS:
            if name in means:
                norm = (means[name] ** 2).sum((-3, -2, -1))
                means[name] = norm if self.count > 1 else np.full_like(norm, np.nan)
        return means

    def _sample_values(self) -> dict[str, np.ndarray]:
        if not self._keep_samples:
            raise ValueError("values of each clip need Evaluator(..., keep_samples=True)")
        self._means()
        return {
            name: np.concatenate([batch[name] for batch in self._samples])
            for name in self._samples[0]
        }

    def _metrics_of_clips(self) -> dict[str, Metric]:
        return {name: metric for name, metric in self.metrics.items() if not metric.across_clips}


def _as_float64(values: Mapping[str, AnyArray]) -> dict[str, np.ndarray]:
    return {name: np.asarray(value, np.float64) for name, value in on_host(values).items()}


def _mean_of_present(values: np.ndarray, axis: int) -> np.ndarray:
    """The mean of what is not NaN; NaN of nothing."""
    present = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.where(present, values, 0.0).sum(axis) / present.sum(axis)


def _check_names(
    names: Sequence[str],
    extra: Mapping[str, FrameMetric],
    given: Mapping[str, bool],
    missing: bool,
) -> None:
    for name in names:
        if name not in METRICS:
            raise ValueError(
                f"unknown metric {name!r}; the metrics are {', '.join(METRICS)} "
                "(others go into `extra`)"
            )
        follows_motion = not {"flow", "raft"}.isdisjoint(METRICS[name].needs)
        if missing and (METRICS[name].across_clips or follows_motion):
            raise ValueError(
                f"metric {name!r} needs whole frames, which data with missing values do not have: "
                "leave it out of `names`"
            )
        for argument in METRICS[name].needs:
            if not given[argument]:
                raise ValueError(
                    f"metric {name!r} needs Evaluator(..., {argument}=), which this data does not "
                    f"have: leave it out of `names`, or give the {argument}"
                )
    if repeated := [name for i, name in enumerate(names) if name in names[:i]]:
        raise ValueError(f"metric {repeated[0]!r} is named twice")
    for name in extra:
        if name in METRICS:
            raise ValueError(f"extra metric {name!r} has the name of a built-in one: rename it")


def _with_groups(name: str, metric: Metric, groups: tuple[str, ...]) -> dict[str, Metric]:
    """The metric alone, or its mean over groups of channels and one metric for each group."""
    if not groups or not metric.by_group:
        return {name: metric}
    (quantity,) = metric.sums
    parts = tuple(f"{quantity}_{group}" for group in groups)

    def finish(*means: np.ndarray) -> np.ndarray:
        return np.mean([metric.finish(mean) for mean in means], axis=0)

    mean = Metric(metric.better, f"{metric.convention}; mean over channel groups", parts, finish)
    return {name: mean} | {
        f"{name}_{group}": Metric(
            metric.better, f"{metric.convention}; {group}", (part,), metric.finish
        )
        for group, part in zip(groups, parts, strict=True)
    }


def _finish(
    metrics: Mapping[str, Metric], means: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            name: metric.finish(*(means[quantity] for quantity in metric.sums))
            for name, metric in metrics.items()
        }
