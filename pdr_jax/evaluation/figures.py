"""Everything that is measured of a predictor in one pass over a split."""

import copy
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pdr_jax import metrics
from pdr_jax.arrays import AnyArray


@dataclasses.dataclass(frozen=True)
class Measured:
    """What was measured of one predictor; the keys are names of metrics.

    Attributes:
      figures: over all frames of all clips.
      per_frame: at each step of the horizon, (T',).
      values: of every frame of every clip, (clips, T'); {} if they were not kept. Of a row of
        samples, means over the samples.
      ids: ids of the clips, (clips,).
      details: what is no single figure, in JSON types: "events", their scores by threshold;
        "ranks" and "reliability" of an ensemble; "notes", remarks on the figures.
    """

    figures: dict[str, float]
    per_frame: dict[str, np.ndarray]
    values: dict[str, np.ndarray]
    ids: np.ndarray
    details: dict[str, Any] = dataclasses.field(default_factory=dict)


def best_of(by_clip: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Each metric's figure if the best of a clip's samples, by this metric, stood for the clip.

    Args:
      by_clip: figures of every sample of every clip, (clips, n).

    Returns:
      Means over the clips, "psnr_best" and so on; {} for one sample.
    """
    best = {"lower": np.min, "higher": np.max}
    found = {}
    for name in metrics.BEST:
        if name in by_clip and by_clip[name].shape[1] > 1:
            values = by_clip[name]
            values = values[~np.isnan(values).all(1)]  # clips without truth
            found[f"{name}_best"] = float(best[metrics.BETTER[name]](values, axis=1).mean())
    return found


@dataclasses.dataclass(frozen=True)
class Figures:
    """The metrics of one pass over a split.

    Attributes:
      evaluator: metrics of frames.
      events: scores of events, where the data have thresholds.
      ensemble: scores of samples, where they are asked for; of a point prediction the CRPS is its
        absolute error.
      distances: Fréchet distances between all predicted clips and all true ones.
      keep_samples: whether `evaluator` does, for `Measured.values` and the best of n samples.
      best: figures from those of every sample of every clip, (clips, n).
    """

    evaluator: metrics.Evaluator
    events: metrics.Events | None = None
    ensemble: metrics.Ensemble | None = None
    distances: tuple[metrics.Frechet, ...] = ()
    keep_samples: bool = False
    best: Callable[[Mapping[str, np.ndarray]], dict[str, float]] = best_of

    def another(self) -> "Figures":
        """The same of another predictor, without batches; it shares what is known of the truth."""
        return dataclasses.replace(
            self,
            evaluator=_emptied(self.evaluator),
            events=_emptied(self.events),
            ensemble=_emptied(self.ensemble),
            distances=tuple(map(_emptied, self.distances)),
        )

    def update(
        self,
        samples: AnyArray,
        observed: AnyArray,
        target: AnyArray,
        valid: np.ndarray,
        *,
        truth: bool = True,
    ) -> None:
        """Adds a batch.

        Args:
          samples: (n, B, T', H, W, C) in model units, n = 1 for a point prediction.
          observed: (B, T, H, W, C).
          target: (B, T', H, W, C).
          valid: (B,), clips that count.
          truth: whether the clips are new; False if `another` has had them.
        """
        if self.ensemble is not None:
            self.ensemble.update(samples, target, valid)
        for number in range(len(samples)):
            sample = samples[number]
            self.evaluator.update(sample, target, valid)
            if self.events is not None:
                self.events.update(sample, target, valid)
            for distance in self.distances:
                distance.update(sample, observed, target, valid, truth=truth and number == 0)

    def measured(self, ids: np.ndarray, batches: np.ndarray, *, samples: int = 1) -> Measured:
        """What was measured of clips with these ids.

        Args:
          ids: of all clips, (clips,).
          batches: how many clips each batch had.
          samples: n.
        """
        figures, per_frame = self.evaluator.compute(), self.evaluator.per_frame()
        details: dict[str, Any] = {}
        for part in (self.ensemble, self.events):
            if part is not None:
                figures |= part.compute()
                per_frame |= part.per_frame()
        if self.events is not None:
            details["events"] = self.events.by_threshold()
        if self.ensemble is not None and samples > 1:
            details["ranks"] = self.ensemble.rank_histogram().tolist()
            details["reliability"] = self.ensemble.reliability()
        for distance in self.distances:
            figures |= distance.compute()
        if notes := [distance.note for distance in self.distances if distance.note]:
            details["notes"] = notes
        values: dict[str, np.ndarray] = {}
        if self.keep_samples:
            order = _sample_order(batches, samples)
            by_clip = {name: v[order] for name, v in self.evaluator.per_sample().items()}
            figures |= self.best(by_clip)
            frames = self.evaluator.per_sample_frame()
            values = {name: value[order].mean(1) for name, value in frames.items()}
        return Measured(figures, per_frame, values, ids, details)


def _emptied(part: Any) -> Any:
    """A copy of a metric, if it is one, that has had no batch; what is compiled is shared."""
    copied = copy.copy(part)
    if copied is not None:
        copied.reset()
    return copied


def _sample_order(batches: np.ndarray, samples: int) -> np.ndarray:
    """Where sample k of clip i came in the order of updates: (clips, n)."""
    starts = np.cumsum([0, *batches[:-1]])
    return np.concatenate(
        [
            samples * start + np.arange(samples * count).reshape(samples, count).T
            for start, count in zip(starts, batches, strict=True)
        ]
    )
