"""Streams the samples of a test set through the scores of an ensemble."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from pdr_jax.arrays import AnyArray
from pdr_jax.metrics import checks, probabilistic
from pdr_jax.sharding import on_host


class Ensemble:
    """Scores of an ensemble over a test set that arrives in batches.

    ```
    ensemble = Ensemble()
    for samples, target in batches:  # (n, B, T, H, W, C) and (B, T, H, W, C)
        ensemble.update(samples, target)
    ensemble.compute()  # {"crps": ..., "crps_ordinary": ..., "spread_skill": ...}
    ensemble.rank_histogram()  # (n + 1,)
    ```

    A NaN of a sample where there is a truth makes the figures NaN.

    Args:
      std: what the normalisation divided by, a number or (C,): CRPS is in the data's units.
      thresholds: of the reliability curves, by label: a number or one for each channel, (C,), in
        model units.

    Raises:
      TypeError: thresholds without labels.
    """

    def __init__(
        self,
        *,
        std: float | np.ndarray = 1.0,
        thresholds: Mapping[str, float | np.ndarray] | None = None,
    ) -> None:
        if thresholds is not None:
            checks.check_thresholds(thresholds)
        limits = {
            label: np.asarray(value, np.float32) for label, value in (thresholds or {}).items()
        }
        self._labels = tuple(limits)
        self._values = jax.jit(partial(_values, std=np.asarray(std, np.float32), limits=limits))
        self.reset()

    def reset(self) -> None:
        """Forgets all batches."""
        self._samples = 0
        self._sums: dict[str, np.ndarray] = {}

    def update(self, samples: AnyArray, target: AnyArray, valid: np.ndarray | None = None) -> None:
        """Adds a batch.

        Args:
          samples: (n, B, T, H, W, C) in model units; of a deterministic predictor n is 1.
          target: (B, T, H, W, C) in model units; NaN marks a pixel without truth.
          valid: (B,) bool; False marks clips that only fill up a batch.

        Raises:
          ValueError: the shapes do not fit, or n is not that of earlier batches.
        """
        checks.check_samples(samples, target, axes="B, T, H, W, C")
        n = len(samples)
        if self._samples not in (0, n):
            raise ValueError(f"samples has {n} samples; expected {self._samples}, as before")
        self._samples = n
        chosen = np.ones(len(target), bool) if valid is None else valid
        for name, value in on_host(self._values(samples, target)).items():
            total = value.astype(np.float64)[chosen].sum(0)
            self._sums[name] = self._sums.get(name, 0.0) + total

    def compute(self) -> dict[str, float]:
        """Figures over all pixels; a spread/skill ratio needs two samples or more.

        Raises:
          ValueError: no batch was added.
        """
        totals = {name: value.sum(0) for name, value in self._totals().items()}
        return {name: float(value) for name, value in self._figures(totals).items()}

    def per_frame(self) -> dict[str, Float[np.ndarray, " T"]]:
        """The figures at each step of the horizon."""
        return self._figures(self._totals())

    def rank_histogram(self) -> Float[np.ndarray, " ranks"]:
        """The share of pixels whose truth has each of the n + 1 ranks; flat is calibrated."""
        ranks = self._totals()["ranks"].sum(0)
        return ranks / ranks.sum()

    def reliability(self) -> dict[str, dict[str, list[float]]]:
        """For each threshold the forecast probability, the observed frequency, and the pixels.

        The frequency is NaN where no pixel has that probability.
        """
        found = {}
        for label in self._labels:
            pixels, events = (
                self._totals()[f"{part}_{label}"].sum(0) for part in ("pixels", "events")
            )
            with np.errstate(invalid="ignore"):
                found[label] = {
                    "probability": np.linspace(0, 1, self._samples + 1).tolist(),
                    "frequency": (events / pixels).tolist(),
                    "pixels": pixels.tolist(),
                }
        return found

    def _totals(self) -> dict[str, np.ndarray]:
        if not self._sums:
            raise ValueError("no clips were evaluated: call update() first")
        return self._sums

    def _figures(self, totals: Mapping[str, np.ndarray]) -> dict[str, Any]:
        with np.errstate(divide="ignore", invalid="ignore"):
            figures = {name: totals[name] / totals["known"] for name in ("crps", "crps_ordinary")}
            if self._samples > 1:
                # A finite ensemble of perfect draws has n / (n + 1) of the error of its mean.
                factor = (self._samples + 1) / self._samples
                figures["spread_skill"] = np.sqrt(factor * totals["variance"] / totals["error"])
        return figures


def _values(
    samples: Array, target: Array, *, std: np.ndarray, limits: Mapping[str, np.ndarray]
) -> dict[str, Array]:
    """Sums over the pixels of each frame, (B, T, ...)."""
    scale = std.reshape(1, 1, 1, 1, -1)
    x, y = samples.astype(jnp.float32) * scale[None], target.astype(jnp.float32) * scale
    pixels = {
        "crps": probabilistic.crps(x, y),
        "crps_ordinary": probabilistic.crps(x, y, fair=False),
        "known": jnp.ones_like(y),
    }
    if len(samples) > 1:
        pixels["variance"], pixels["error"] = probabilistic.spread_and_error(x, y)
    # A NaN of the truth counts nowhere; one of a sample makes its figures NaN.
    known = ~jnp.isnan(y)
    values = {
        name: jnp.where(known, value, 0.0).sum((-3, -2, -1)) for name, value in pixels.items()
    }
    values["ranks"] = probabilistic.rank_histogram(samples, target)
    for label, limit in limits.items():
        counts = probabilistic.reliability_counts(samples, target, limit)
        values[f"pixels_{label}"], values[f"events_{label}"] = counts
    return values
