"""Structural similarity: `ssim`, its windows and its implementations."""

from pallas_kernels.ssim.api import IMPLEMENTATIONS, ssim
from pallas_kernels.ssim.measure import (
    GAUSSIAN_SIZE,
    Padding,
    Weights,
    gaussian_window,
    uniform_window,
)

__all__ = [
    "GAUSSIAN_SIZE",
    "IMPLEMENTATIONS",
    "Padding",
    "Weights",
    "gaussian_window",
    "ssim",
    "uniform_window",
]
