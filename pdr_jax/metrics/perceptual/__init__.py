"""Learned perceptual distances: LPIPS and its shift-tolerant variant, both on AlexNet.

Values of the two do not compare with each other. Trained weights are read from files that the user
names; nothing is downloaded.
"""

from pdr_jax.metrics.perceptual.lpips_alex import load_lpips_alex, lpips
from pdr_jax.metrics.perceptual.st_lpips_alex import (
    load_st_lpips_alex,
    load_st_lpips_features,
    st_lpips,
)

__all__ = ["load_lpips_alex", "load_st_lpips_alex", "load_st_lpips_features", "lpips", "st_lpips"]
