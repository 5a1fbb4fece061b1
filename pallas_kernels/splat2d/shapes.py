"""The named shapes of `splat2d`: tests, benchmarks and compile checks all read this table."""

from typing import NamedTuple

import numpy as np


class Case(NamedTuple):
    """One call of `splat2d`: F frames of H x W x C, each with N Gaussians."""

    frames: int
    height: int
    width: int
    channels: int
    gaussians: int
    window: int | None
    sampling: str = "exact"

    @property
    def options(self):
        """The keyword arguments of `splat2d`."""
        return {
            "height": self.height,
            "width": self.width,
            "window": self.window,
            "sampling": self.sampling,
        }

    def arguments(self, seed: int = 0, dtype=np.float32) -> tuple[np.ndarray, ...]:
        """Random mean, scale, rotation and amplitude, some of them partly or wholly off the frame.

        With a window the standard deviations are the paper's, 0.2 to 1 times (window - 1) / 10. As
        many Gaussians as pixels start on their centres instead, move by some pixels, and have
        standard deviations of 0.4 to 0.8 pixels.
        """
        rng = np.random.default_rng(seed)
        shape, size = (self.frames, self.gaussians), np.array([self.width, self.height])
        unit = (self.window - 1) / 10 if self.window else max(size) / 8
        if self.gaussians == self.height * self.width:
            grid = np.indices((self.height, self.width))[::-1].reshape(2, -1).T
            places = (
                grid + rng.normal(scale=2.0, size=(*shape, 2)),
                rng.uniform(0.4, 0.8, (*shape, 2)),
            )
        else:
            places = (
                rng.uniform(-0.1, 1.1, (*shape, 2)) * size,
                rng.uniform(0.2, 1.0, (*shape, 2)) * max(unit, 0.5),
            )
        arrays = (
            *places,
            rng.uniform(-np.pi, np.pi, shape),
            rng.normal(size=(*shape, self.channels)),
        )
        return tuple(x.astype(dtype) for x in arrays)

    def cotangent(self, seed: int = 0, dtype=np.float32) -> np.ndarray:
        """A random cotangent of the frames, (F, H, W, C)."""
        shape = (self.frames, self.height, self.width, self.channels)
        return np.random.default_rng(seed + 1).normal(size=shape).astype(dtype)


WORKLOADS = {
    "A": Case(4, 256, 256, 3, 400, 51),
    "B": Case(32, 32, 32, 2, 300, 15),
    "KTH": Case(16, 128, 128, 1, 400, 51),
    "KTH64": Case(16, 64, 64, 1, 400, 25),
    "KTH64 wide": Case(16, 64, 64, 1, 400, 51),
    "KTH no window": Case(4, 128, 128, 1, 400, None),
    "KTH bilinear": Case(8, 128, 128, 1, 400, 51, "bilinear"),
    "tracked": Case(4, 128, 128, 2, 16_384, 5),
    "weather": Case(8, 32, 64, 69, 300, 15),
    "image": Case(1, 512, 768, 3, 50_000, 15),
}
"""What people draw: the sizes of the benchmarks, with as many frames as fit a small test."""

SMALL = {
    "no window": Case(2, 9, 14, 2, 5, None),
    "window": Case(2, 20, 13, 3, 7, 5),
    "window of one pixel": Case(1, 6, 5, 1, 40, 1),
    "window beyond the frame": Case(2, 5, 40, 1, 4, 15),
    "many chunks": Case(1, 70, 90, 2, 13, 65),
    "one pixel": Case(3, 1, 1, 4, 3, 7),
    "many channels": Case(1, 11, 14, 19, 9, 5),
    "many Gaussians": Case(1, 24, 20, 1, 1100, 3),
    "many of both": Case(1, 10, 9, 9, 1030, 3),
    "bilinear": Case(2, 20, 13, 3, 7, 5, "bilinear"),
    "bilinear beyond the frame": Case(2, 5, 21, 1, 9, 11, "bilinear"),
}
"""Odd shapes that every implementation has to get right."""
