"""2D Gaussian splatting: `splat2d` and its implementations."""

from pallas_kernels.splat2d.api import IMPLEMENTATIONS, splat2d

__all__ = ["IMPLEMENTATIONS", "splat2d"]
