"""Resizing as OpenCV does it: without smoothing before shrinking, unlike Pillow's filters."""

from collections.abc import Callable

import numpy as np


def resize_bilinear(
    frames: np.ndarray, height: int, width: int, *, step: float | None = None
) -> np.ndarray:
    """Resizes frames (..., H, W) to (..., height, width) float32.

    cv2.resize with INTER_LINEAR on float32: pixel centres at half-integers, the border repeated.

    Args:
      frames: of any dtype.
      height: rows of the result.
      width: columns of the result.
      step: source pixels from one target pixel to the next; by default H / height and W / width.
        torch's interpolate uses 1 / scale_factor, which differs from the default where
        H * scale_factor is not whole.
    """
    return _resize(frames, height, width, step, _linear, radius=1)


def resize_bicubic(frames: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes frames (..., H, W) to (..., height, width) float32; values may overshoot.

    cv2.resize with INTER_CUBIC on float32: as `resize_bilinear`, with Keys's kernel of a = -3/4.
    """
    return _resize(frames, height, width, None, _cubic, radius=2)


def _resize(
    frames: np.ndarray,
    height: int,
    width: int,
    step: float | None,
    kernel: Callable[[np.ndarray], np.ndarray],
    radius: int,
) -> np.ndarray:
    frames = np.asarray(frames, np.float32)
    for axis, target in ((-1, width), (-2, height)):
        size = frames.shape[axis]
        centre = (np.arange(target) + 0.5) * (step or size / target) - 0.5
        nearest = np.floor(centre).astype(np.int64)
        resized: np.ndarray | float = 0.0
        for tap in range(1 - radius, radius + 1):
            weight = kernel(np.abs(nearest + tap - centre)).astype(np.float32)
            neighbour = frames.take(np.clip(nearest + tap, 0, size - 1), axis)
            resized = resized + neighbour * (weight if axis == -1 else weight[:, np.newaxis])
        frames = np.asarray(resized)
    return frames


def _linear(distance: np.ndarray) -> np.ndarray:
    return np.maximum(1 - distance, 0)


def _cubic(distance: np.ndarray) -> np.ndarray:
    """Keys's kernel: 1 at distance 0, 0 at 1 and from 2 on."""
    a, d = -0.75, distance
    near = (a + 2) * d**3 - (a + 3) * d**2 + 1
    far = a * (d**3 - 5 * d**2 + 8 * d - 4)
    return np.where(d <= 1, near, np.where(d < 2, far, 0))
