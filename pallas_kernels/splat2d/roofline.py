"""The least time that a workload can take on a GPU whose rates are known.

A pair is a pixel and a Gaussian whose window holds it. It costs an exp2 on the special function
units, and additions and multiplications: 5 and one a channel forward, 12 and two a channel
backward. With more than `gather.FEW` channels those of the channels are a matrix product and count
as free. Memory moves each array once. What takes longest is the floor.
"""

from typing import NamedTuple

import numpy as np

from pallas_kernels.splat2d.gather import FEW
from pallas_kernels.splat2d.shapes import Case


class Rates(NamedTuple):
    """Of a GPU, a second."""

    exponentials: float
    fp32: float
    """Instructions of a lane: a multiply-add is one."""
    bytes: float
    """As copied, not as advertised."""


RATES = {
    "NVIDIA H200": Rates(exponentials=4.18e12, fp32=33.4e12, bytes=4.3e12),
    # The same 132 multiprocessors and clock. Memory is not measured: NVIDIA's data sheet says
    # 3.35 TB/s for the H100 SXM and 4.8 for the H200, of which 0.9 are taken to be copied as well.
    "NVIDIA H100 80GB HBM3": Rates(exponentials=4.18e12, fp32=33.4e12, bytes=3.0e12),
}
"""By device kind."""


def floors(case: Case, device_kind: str, seed: int = 0) -> dict[str, float]:
    """The least microseconds a frame of each pass; {} for a device whose rates are not known.

    Forward, the pixels of every tile that a window touches are pairs: 16 x 16 pixels, 8 x 16 for
    windows of up to 32 pixels. Backward, those of the windows alone.
    """
    rates = RATES.get(device_kind)
    if rates is None:
        return {}
    mean = case._replace(frames=min(case.frames, 16)).arguments(seed)[0]
    tile = (16, 16) if case.window is None or case.window > 32 else (8, 16)
    channels = case.channels if case.channels <= FEW else 0
    frame = 4 * case.height * case.width * case.channels
    gaussians = 4 * case.gaussians * (5 + case.channels)  # as much again for their gradient

    def seconds(pairs, instructions, moved):
        return max(
            pairs / rates.exponentials, pairs * instructions / rates.fp32, moved / rates.bytes
        )

    forward = seconds(_pairs(case, mean, tile), 5 + channels, frame + gaussians)
    backward = seconds(_pairs(case, mean, (1, 1)), 12 + 2 * channels, frame + 2 * gaussians)
    return {"forward": forward * 1e6, "forward+backward": (forward + backward) * 1e6}


def _pairs(case, mean, tile):
    """A frame's pixels in the tiles that each window touches, summed over the Gaussians."""
    half = np.inf if case.window is None else case.window / 2
    area = np.ones(())
    for axis, size, step in ((0, case.width, tile[1]), (1, case.height, tile[0])):
        first = np.clip(np.ceil(mean[..., axis] - half), 0, size)
        end = np.clip(np.floor(mean[..., axis] + half) + 1, 0, size)
        touched = np.minimum(np.ceil(end / step) * step, size) - np.floor(first / step) * step
        area = area * np.where(end > first, touched, 0)
    return float(np.sum(area, -1).mean())
