"""Rain rate, radar reflectivity and decibels; maps of them in another size."""

import dataclasses

import numpy as np

VALUES = ("dbz", "rate", "db")
ENOUGH = 0.5
"""Of a resized pixel's area, the share that has to be seen."""


@dataclasses.dataclass(frozen=True)
class Scale:
    """How a rain rate R in mm/h is stored; what is below `threshold` counts as no rain.

    * "dbz": 10 log10(Z), Z = a R^b; no rain is that of the threshold.
    * "rate": R; no rain is 0.
    * "db": 10 log10(R); no rain is that of the threshold.

    Attributes:
      values: one of VALUES.
      threshold: mm/h, more than 0.
      a: of Z = a R^b; 200 is that of Marshall and Palmer (1948).
      b: likewise; 1.6.
    """

    values: str = "dbz"
    threshold: float = 0.1
    a: float = 200.0
    b: float = 1.6

    @property
    def floor(self) -> float:
        """The stored value of no rain."""
        return float(self.stored(np.zeros(1))[0])

    def stored(self, rate: np.ndarray) -> np.ndarray:
        """mm/h to stored values, float32; NaN stays."""
        wet = ~(rate < self.threshold)
        if self.values == "rate":
            return np.where(wet, rate, 0).astype(np.float32)
        decibels = 10 * np.log10(np.where(wet, rate, self.threshold))
        if self.values == "dbz":
            decibels = 10 * np.log10(self.a) + self.b * decibels
        return decibels.astype(np.float32)

    def rate(self, reflectivity: np.ndarray) -> np.ndarray:
        """The rain rate in mm/h of dBZ; -infinity, where nothing was detected, to 0."""
        return (10 ** (reflectivity / 10) / self.a) ** (1 / self.b)


def average(field: np.ndarray, height: int, width: int) -> np.ndarray:
    """A map (H, W) in another size: the mean over the area of each pixel.

    A pixel of the result is missing where less than half its area is seen; else it is the mean over
    what is seen. A map of that size is returned as it is.
    """
    if field.shape == (height, width):
        return field
    rows, columns = (_shares(*sizes) for sizes in zip(field.shape, (height, width), strict=True))
    seen = rows @ ~np.isnan(field) @ columns.T
    total = rows @ np.nan_to_num(field) @ columns.T
    return np.where(seen >= ENOUGH, total / np.maximum(seen, ENOUGH), np.nan)


def _shares(size: int, target: int) -> np.ndarray:
    """(target, size): the share of each source pixel in a pixel of the result; rows sum to 1."""
    edges = np.arange(target + 1) * (size / target)
    pixels = np.arange(size)
    low = np.maximum(edges[:-1, None], pixels)
    high = np.minimum(edges[1:, None], pixels + 1)
    return np.clip(high - low, 0, None) * (target / size)
