"""What is measured: the windows, the border and the two constants of SSIM."""

from typing import Literal, NamedTuple

import numpy as np

Weights = tuple[float, ...]
Padding = Literal["valid", "same"]

GAUSSIAN_SIZE, GAUSSIAN_SIGMA = 11, 1.5
K1, K2 = 0.01, 0.03


def gaussian_window(size: int = GAUSSIAN_SIZE, sigma: float = GAUSSIAN_SIGMA) -> Weights:
    """`size` weights of a centred Gaussian of `sigma` pixels, summing to 1."""
    x = np.arange(size) - (size - 1) / 2
    weights = np.exp(-0.5 * (x / sigma) ** 2)
    return tuple(float(w) for w in weights / weights.sum())


def uniform_window(size: int) -> Weights:
    """`size` equal weights summing to 1."""
    return (1.0 / size,) * size


class Measure(NamedTuple):
    """The checked arguments of `ssim`, beside its frames."""

    rows: Weights
    """Along H, of odd length."""
    columns: Weights
    """Along W, of odd length."""
    low: float
    """Subtracted from all values."""
    data_range: float
    sample_covariance: bool
    padding: Padding
    signed: bool = False
    """Whether the product of two negative factors counts as negative."""

    @property
    def constants(self) -> tuple[float, float]:
        """C1 of the brightness, C2 of the contrast."""
        return (K1 * self.data_range) ** 2, (K2 * self.data_range) ** 2

    @property
    def unbiased(self) -> float:
        """What a weighted mean of squared deviations is multiplied by."""
        pixels = len(self.rows) * len(self.columns)
        return pixels / (pixels - 1) if self.sample_covariance else 1.0

    def windows(self, height: int, width: int) -> tuple[int, int]:
        """How many windows there are down and across a frame."""
        if self.padding == "same":
            return height, width
        return height - len(self.rows) + 1, width - len(self.columns) + 1
