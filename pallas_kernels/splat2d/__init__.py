"""2D Gaussian splatting: `splat2d`, `splat2d_normalized` and their implementations."""

from pallas_kernels.splat2d.api import IMPLEMENTATIONS, splat2d
from pallas_kernels.splat2d.normalized import splat2d_normalized

__all__ = ["IMPLEMENTATIONS", "splat2d", "splat2d_normalized"]
