"""Scores of events: pixels, or cells of pixels, that reach a threshold.

CSI, POD, FAR, HSS and bias are ratios of counts. The counts are summed over the whole test set
before a ratio is taken, as nowcasting papers do; a mean of ratios of single frames would be
another figure, and undefined for frames without an event. POD is hits / observed events.

Pooled scores ask whether the event occurs anywhere in a cell of 4x4 or 16x16 pixels: both clips are
max-pooled first, so that a storm which is a few pixels off still counts.

A NaN in a prediction where the truth is known makes the counts of its frame NaN, and the figures.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from pdr_jax.arrays import AnyArray, on_pairs
from pdr_jax.metrics.checks import by_channel, check_thresholds, nan_where_broken
from pdr_jax.sharding import on_host

SCORES = ("csi", "pod", "far", "hss", "bias")
POOLS = (1, 4, 16)
"""Sides of the cells that papers report; 1 is the pixel itself."""


@on_pairs
def event_counts(
    prediction: Float[AnyArray, "*B H W C"],
    target: Float[AnyArray, "*B H W C"],
    threshold: AnyArray | np.floating,
    *,
    pool: int = 1,
) -> Float[Array, "*B 4"]:
    """Hits, misses, false alarms and correct rejections of each frame.

    Args:
      prediction: in any units.
      target: in the same units; NaN marks a pixel without truth, which counts nowhere.
      threshold: in the same units, a number or one for each channel, (C,); an event is a value of
        the threshold or more.
      pool: side of the cells in pixels; cells at the lower and right edge may be smaller.

    Raises:
      ValueError: shapes that differ, or a threshold for other channels.
    """
    prediction, target = jnp.asarray(prediction), jnp.asarray(target)
    known = ~jnp.isnan(target)
    broken = jnp.isnan(prediction) & known
    limit = by_channel(threshold, target)
    forecast, observed = (prediction >= limit) & known, (target >= limit) & known
    if pool > 1:
        forecast, observed, known = (_any(mask, pool) for mask in (forecast, observed, known))
    parts = (
        forecast & observed,
        ~forecast & observed,
        forecast & ~observed,
        known & ~forecast & ~observed,
    )
    counts = jnp.stack([part.sum((-3, -2, -1), dtype=jnp.float32) for part in parts], -1)
    return nan_where_broken(counts, broken)


def scores(counts: np.ndarray) -> dict[str, np.ndarray]:
    """CSI, POD, FAR, HSS and bias from counts (..., 4); NaN where a ratio has no denominator."""
    hits, misses, false, correct = np.moveaxis(np.asarray(counts, np.float64), -1, 0)
    chance = (hits + misses) * (misses + correct) + (hits + false) * (false + correct)
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "csi": hits / (hits + misses + false),
            "pod": hits / (hits + misses),
            "far": false / (hits + false),
            "hss": 2 * (hits * correct - misses * false) / chance,
            "bias": (hits + false) / (hits + misses),
        }


class Events:
    """Scores of events over a test set that arrives in batches.

    Args:
      thresholds: by label, as "20": a number or one for each channel, (C,), in model units.
      pools: sides of the cells; those larger than the frames are left out.

    Raises:
      ValueError: no thresholds.
      TypeError: thresholds without labels.
    """

    def __init__(
        self, thresholds: Mapping[str, float | np.ndarray], *, pools: Sequence[int] = POOLS
    ) -> None:
        check_thresholds(thresholds)
        if not thresholds:
            raise ValueError("thresholds is empty; expected at least one")
        self._labels = tuple(thresholds)
        self._pools = tuple(pools)
        limits = [np.asarray(value, np.float32) for value in thresholds.values()]
        self._counts = jax.jit(partial(_all_counts, limits=limits, pools=self._pools))
        self.reset()

    def reset(self) -> None:
        """Forgets all batches."""
        self._sums: dict[int, np.ndarray] = {}
        self._updated = False

    def update(
        self, prediction: AnyArray, target: AnyArray, valid: np.ndarray | None = None
    ) -> None:
        """Adds a batch of clips (B, T, H, W, C) in model units; `valid` as in `Evaluator`.

        Raises:
          ValueError: shapes that differ.
        """
        chosen = np.ones(len(target), bool) if valid is None else valid
        for pool, counts in on_host(self._counts(prediction, target)).items():
            total = counts.astype(np.float64)[chosen].sum(0)
            self._sums[pool] = self._sums.get(pool, 0.0) + total
        self._updated = True

    def compute(self) -> dict[str, float]:
        """Means over the thresholds: "csi", "pod", "far", "hss", "bias"; "csi_pool4", "csi_pool16".

        A threshold for which a score is undefined is left out of its mean.

        Raises:
          ValueError: no batch was added.
        """
        table = self._table(time=False)
        return {name: _mean(values).item() for name, values in table.items()}

    def per_frame(self) -> dict[str, Float[np.ndarray, " T"]]:
        """The figures of `compute` at each step of the horizon."""
        return {name: _mean(values) for name, values in self._table(time=True).items()}

    def by_threshold(self) -> dict[str, dict[str, float]]:
        """Every score at every threshold, by its label; pooled ones end in "_pool4" and so on."""
        found: dict[str, dict[str, float]] = {label: {} for label in self._labels}
        for pool, total in self._totals().items():
            for name, values in scores(total.sum(0)).items():
                for label, value in zip(self._labels, values, strict=True):
                    found[label][name + _suffix(pool)] = float(value)
        return found

    def _totals(self) -> dict[int, np.ndarray]:
        if not self._updated:
            raise ValueError("no clips were evaluated: call update() first")
        return self._sums

    def _table(self, *, time: bool) -> dict[str, np.ndarray]:
        """Scores by name, (thresholds,) or (T, thresholds)."""
        found: dict[str, np.ndarray] = {}
        for pool, total in self._totals().items():
            values = scores(total if time else total.sum(0))
            shown = SCORES if pool == 1 else ("csi",)
            found |= {name + _suffix(pool): values[name] for name in shown}
        return found


def _all_counts(
    prediction: Array, target: Array, *, limits: Sequence[np.ndarray], pools: Sequence[int]
) -> dict[int, Array]:
    """(B, T, thresholds, 4) for every pool that fits the frames."""
    fitting = [pool for pool in pools if pool <= min(target.shape[-3:-1])]
    return {
        pool: jnp.stack([event_counts(prediction, target, x, pool=pool) for x in limits], -2)
        for pool in fitting
    }


def _any(mask: Array, pool: int) -> Array:
    """Whether a cell has a pixel of the mask: (*B, H, W, C) -> (*B, h, w, C)."""
    height, width = mask.shape[-3:-1]
    rest = [(0, 0)] * (mask.ndim - 3)
    mask = jnp.pad(mask, (*rest, (0, -height % pool), (0, -width % pool), (0, 0)))
    rows, columns = mask.shape[-3] // pool, mask.shape[-2] // pool
    cells = mask.reshape(*mask.shape[:-3], rows, pool, columns, pool, mask.shape[-1])
    return cells.any((-4, -2))


def _suffix(pool: int) -> str:
    return "" if pool == 1 else f"_pool{pool}"


def _mean(values: np.ndarray) -> Any:
    """The mean over the last axis of what is defined; NaN where nothing is."""
    defined = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.where(defined, values, 0.0).sum(-1) / defined.sum(-1)
