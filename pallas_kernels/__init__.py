"""Differentiable kernels for video prediction. Needs jax, numpy and jaxtyping."""

from pallas_kernels.splat2d import splat2d, splat2d_normalized
from pallas_kernels.ssim import ssim

__all__ = ["splat2d", "splat2d_normalized", "ssim"]
