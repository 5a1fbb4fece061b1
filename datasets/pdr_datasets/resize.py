"""Bilinear resizing as OpenCV's default does it."""

import numpy as np


def resize_bilinear(frames: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes frames (..., H, W) to (..., height, width) float32.

    cv2.resize with INTER_LINEAR on float32: pixel centres at half-integers, the border repeated,
    and no smoothing before shrinking (Pillow's bilinear filter smooths, so it differs).
    """
    frames = np.asarray(frames, np.float32)
    low, high, weight = _taps(frames.shape[-1], width)
    frames = frames[..., low] * (1 - weight) + frames[..., high] * weight
    low, high, weight = _taps(frames.shape[-2], height)
    weight = weight[:, np.newaxis]
    return frames[..., low, :] * (1 - weight) + frames[..., high, :] * weight


def _taps(size: int, target: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The two neighbours of each target pixel, and the weight of the second."""
    position = np.clip((np.arange(target) + 0.5) * (size / target) - 0.5, 0, size - 1)
    low = np.floor(position).astype(np.int64)
    return low, np.minimum(low + 1, size - 1), (position - low).astype(np.float32)
