"""Fréchet distances between predicted and true clips, in the features of a trained network."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.tree_util import Partial
from jaxtyping import Float

from pdr_jax.arrays import AnyArray
from pdr_jax.sharding import on_host

Features = Callable[[Float[Array, "B T H W C"]], Float[Array, "B n D"]]
"""Features of clips in [0, 1], n vectors each: one of a clip for FVD, one of a frame for others."""


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Fréchet distance of two normal distributions that have the moments of two sets of vectors.

    d = |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)), with the unbiased covariances S (Dowson and
    Landau 1982; Heusel et al. 2017 for features). All in float64, and without a square root of S1
    S2, whose small eigenvalues are noise: with S = A^T A, the trace of that root is the sum of the
    singular values of A1 A2^T.

    Args:
      first: (n, D).
      second: (m, D).

    Raises:
      ValueError: fewer than two vectors, lengths that differ, or values that are not finite.
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise ValueError(f"features have shapes {first.shape} and {second.shape}; expected (n, D)")
    if min(len(first), len(second)) < 2:
        raise ValueError("features: expected two vectors or more on each side")
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("features hold NaN or infinity; expected finite numbers")
    (m1, a1), (m2, a2) = _moments(first), _moments(second)
    cross = np.linalg.svd(a1 @ a2.T, compute_uv=False).sum()
    return float(((m1 - m2) ** 2).sum() + (a1**2).sum() + (a2**2).sum() - 2 * cross)


def _moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean, and A with A^T A the covariance: (D,) and (min(n, D), D), float64."""
    mean = features.mean(0)
    root = np.linalg.qr((features - mean) / np.sqrt(len(features) - 1), mode="r")
    return mean, root


class Frechet:
    """The Fréchet distance of the predictions of a test set that arrives in batches.

    Observed frames stand before the predicted ones and before the true ones, as in MCVD's
    evaluation: a jump between them is seen. Of several samples a clip, all are in the set of
    predictions, and the truth is in its own once.

    Args:
      name: of the figure.
      features: of the network.
      data_range: (low, high) in model units, which become 0 and 1; clips are clipped to it.
    """

    def __init__(
        self,
        name: str,
        features: Features,
        *,
        data_range: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        self.name = name
        self._low, self._high = data_range
        # A `Partial` passes a network's weights as arguments of the jitted function.
        self._features = Partial(features)
        self._true: list[np.ndarray] = []
        self.reset()

    def reset(self) -> None:
        """Forgets the predictions; the truth is kept, for another predictor of the same clips."""
        self._predicted: list[np.ndarray] = []
        self._knows_truth = bool(self._true)

    def update(
        self,
        prediction: AnyArray,
        observed: AnyArray,
        target: AnyArray,
        valid: np.ndarray | None = None,
        *,
        truth: bool = True,
    ) -> None:
        """Adds a batch.

        Args:
          prediction: (B, T', H, W, C) in model units.
          observed: (B, T, H, W, C) in model units.
          target: (B, T', H, W, C) in model units; where it is NaN, it takes the prediction's value.
          valid: (B,) bool; False marks clips that only fill up a batch.
          truth: whether the true clips are new; False for a further sample of the same clips.

        Raises:
          ValueError: what the network refuses.
        """
        chosen = np.ones(len(target), bool) if valid is None else valid
        futures = [(self._predicted, prediction)]
        if truth and not self._knows_truth:
            futures.append((self._true, jnp.where(jnp.isnan(target), prediction, target)))
        for kept, future in futures:
            features = _unit_features(self._features, observed, future, self._low, self._high)
            vectors = on_host(features)[chosen]
            kept.append(vectors.reshape(-1, vectors.shape[-1]))

    def compute(self) -> dict[str, float]:
        """The distance, by its name.

        NaN for a single vector, which has no covariance, and for predictions that hold NaN.

        Raises:
          ValueError: no batch was added.
        """
        if not self._predicted:
            raise ValueError("no clips were evaluated: call update() first")
        predicted, true = np.concatenate(self._predicted), np.concatenate(self._true)
        if min(len(predicted), len(true)) < 2 or np.isnan(predicted).any() or np.isnan(true).any():
            return {self.name: float("nan")}
        return {self.name: frechet_distance(predicted, true)}

    @property
    def note(self) -> str:
        """A remark if there are too few vectors for a covariance of full rank; else ""."""
        count, size = sum(map(len, self._true)), self._true[0].shape[1]
        if count > size:
            return ""
        return (
            f"{self.name}: {count} vectors of {size} numbers have a covariance of lower rank: the "
            "distance is biased upwards, and compares only with others of as many clips"
        )


@jax.jit
def _unit_features(
    features: Partial, observed: Array, future: Array, low: float, high: float
) -> Array:
    clips = jnp.concatenate([observed, future], axis=1).astype(jnp.float32)
    return features(jnp.clip((clips - low) / (high - low), 0.0, 1.0))
