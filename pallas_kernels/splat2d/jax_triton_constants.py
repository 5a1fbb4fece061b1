"""What the kernels of `jax_triton`, forward and backward alike, are compiled for."""

from typing import Any

from pallas_kernels.splat2d.gather import Geometry

ACROSS = 4
"""Pixels of one row that a thread of a kernel for few channels owns."""

BLOCK = 32
"""Channels that a program of a kernel for many channels owns, a power of two from 16: 64 spill."""


def constants_of(geometry: Geometry, count: int, channels: int) -> dict[str, Any]:
    """The constants of every kernel: of frames with P Gaussians (`count`) and C channels."""
    return {
        "HEIGHT": geometry.height,
        "WIDTH": geometry.width,
        "CHANNELS": channels,
        "COUNT": count,
        "WINDOW": geometry.window or 0,
    }
