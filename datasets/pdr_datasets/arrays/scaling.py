"""Scaling of floating-point arrays, fitted on the training part."""

import dataclasses
from typing import Any

import numpy as np


@dataclasses.dataclass
class Statistics:
    """Count, mean, sum of squared deviations, least and greatest value of each channel; no NaN."""

    count: np.ndarray
    mean: np.ndarray
    squares: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def empty(cls, channels: int) -> "Statistics":
        """The statistics of no values."""
        zero, inf = np.zeros(channels), np.full(channels, np.inf)
        return cls(zero, zero, zero, inf, -inf)

    def update(self, block: np.ndarray) -> None:
        """Adds a block (..., C), by Chan's formula, which stays accurate far from zero."""
        values = block.reshape(-1, block.shape[-1]).astype(np.float64)
        there = ~np.isnan(values)
        count = there.sum(0).astype(np.float64)
        if there.all():
            mean = values.mean(0)
        else:
            mean = np.where(there, values, 0).sum(0) / np.maximum(count, 1)
        total, step = self.count + count, mean - self.mean
        whole = np.maximum(total, 1)
        deviations = np.where(there, (values - mean) ** 2, 0).sum(0)
        self.squares = self.squares + deviations + step**2 * (self.count * count / whole)
        self.mean = self.mean + step * (count / whole)
        self.low = np.minimum(self.low, np.where(there, values, np.inf).min(0))
        self.high = np.maximum(self.high, np.where(there, values, -np.inf).max(0))
        self.count = total

    def over_channels(self) -> "Statistics":
        """The statistics of all channels taken as one."""
        total = self.count.sum()
        equal = (self.count == self.count[0]).all()
        mean = self.mean.mean() if equal else (self.mean * self.count).sum() / max(total, 1)
        squares = (self.squares + self.count * (self.mean - mean) ** 2).sum()
        low, high = self.low.min(), self.high.max()
        return Statistics(*(np.array([v]) for v in (total, mean, squares, low, high)))


def fit(
    scaling: Any, statistics: Statistics | None, channels: int
) -> tuple[np.ndarray, np.ndarray]:
    """(offset, scale), each (1,) or (C,): model units = (stored - offset) / scale.

    Args:
      scaling: "minmax" (to [0, 1]), "zscore" (mean 0, standard deviation 1), or the pair
        (offset, scale) itself, each a number or one per channel.
      statistics: of the training part; None if there is none.
      channels: C.

    Raises:
      ValueError: the scaling is unknown, the training part is missing or constant, or a given scale
        is not positive.
    """
    if isinstance(scaling, tuple | list) and len(scaling) == 2:
        try:
            offset, scale = (np.atleast_1d(np.asarray(v, np.float64)) for v in scaling)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"scaling={scaling!r}: expected (offset, scale), numbers: {error}."
            ) from error
        for value in (offset, scale):
            if value.shape not in ((1,), (channels,)) or not np.isfinite(value).all():
                raise ValueError(
                    f"scaling={scaling!r}: expected (offset, scale), finite numbers, or "
                    f"{channels} of each (one per channel)."
                )
        if (scale <= 0).any():
            raise ValueError(f"scaling={scaling!r}: expected a scale greater than 0.")
        return offset, scale
    if not isinstance(scaling, str) or scaling not in ("minmax", "zscore"):
        raise ValueError(
            f"scaling={scaling!r}: expected 'minmax', 'zscore' or a pair (offset, scale)."
        )
    if statistics is None:
        raise ValueError(
            f"scaling={scaling!r} is fitted on the training part, but test_fraction=1 leaves "
            "none. Pass the pair (offset, scale) that the model was trained with."
        )
    if scaling == "minmax":
        offset, scale = statistics.low, statistics.high - statistics.low
    else:
        count = np.maximum(statistics.count, 1)
        offset, scale = statistics.mean, np.sqrt(statistics.squares / count)
    if not (scale > 0).all():
        raise ValueError(
            f"scaling={scaling!r}: the training part is constant ({offset.tolist()}), so it has "
            "no scale. Pass a pair (offset, scale)."
        )
    return offset, scale
