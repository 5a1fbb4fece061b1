"""Draws clips of moving digits, by OpenSTL's rules (its dataloader_moving_mnist.py)."""

import math
import operator
from typing import Any, SupportsIndex

import numpy as np

from pdr_datasets.moving_mnist.digits import DIGIT, FRAME

NUM_DIGITS = 2
STEP = 0.1  # of the free span, a frame


class MovingDigits:
    """Source of clips drawn as they are read: sample i is a function of (seed, part, i).

    Args:
      digits: (N, 28, 28) uint8.
      size: number of clips.
      length: frames in a clip.
      seed: of the random numbers, together with `part` and the index.
      part: 0 for training, 1 for testing.
    """

    def __init__(self, digits: np.ndarray, size: int, *, length: int, seed: int, part: int):
        self._digits = digits
        self._size = size
        self._length = length
        self._stream = [seed, part]

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, index: SupportsIndex) -> dict[str, Any]:
        index = operator.index(index)
        if not 0 <= index < self._size:
            raise IndexError(f"index={index}: there are {self._size} clips.")
        rng = np.random.default_rng([*self._stream, index])
        return {"frames": draw_clip(rng, self._digits, self._length), "id": np.int64(index)}


def draw_clip(rng: np.random.Generator, digits: np.ndarray, length: int) -> np.ndarray:
    """Draws two random digits, each on its own path; where they meet, the brighter pixel shows.

    Returns:
      (length, 64, 64, 1) uint8.
    """
    frames = np.zeros((length, FRAME, FRAME), np.uint8)
    for _ in range(NUM_DIGITS):
        path = draw_path(rng, length)
        digit = digits[rng.integers(len(digits))]
        for frame, (top, left) in zip(frames, path, strict=True):
            part = frame[top : top + DIGIT, left : left + DIGIT]
            np.maximum(part, digit, out=part)
    return frames[..., np.newaxis]


def draw_path(rng: np.random.Generator, length: int) -> list[tuple[int, int]]:
    """(top, left) of a digit in each frame: random start and heading, constant speed."""
    top, left = rng.random(), rng.random()  # in units of the free span
    heading = 2 * math.pi * rng.random()
    return list(
        zip(
            _bounce(top, STEP * math.sin(heading), length),
            _bounce(left, STEP * math.cos(heading), length),
            strict=True,
        )
    )


def _bounce(place: float, velocity: float, length: int) -> list[int]:
    """Positions along one axis, in pixels; at an edge the digit stops and its velocity turns."""
    path = []
    for _ in range(length):
        place += velocity
        if not 0 < place < 1:
            place = min(max(place, 0.0), 1.0)
            velocity = -velocity
        path.append(int(place * (FRAME - DIGIT)))
    return path
