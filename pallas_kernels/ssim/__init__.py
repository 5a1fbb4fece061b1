"""Structural similarity: `ssim`, its map, its windows and its implementations."""

from pallas_kernels.ssim.api import IMPLEMENTATIONS, ssim, ssim_map
from pallas_kernels.ssim.masks import whole_windows
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
    "ssim_map",
    "uniform_window",
    "whole_windows",
]
