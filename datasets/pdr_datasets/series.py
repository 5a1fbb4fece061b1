"""Clips cut from a series that is stored frame by frame, and where its gaps leave room for them."""

import itertools
import operator
from collections.abc import Sequence
from typing import Any, SupportsIndex

import numpy as np

from pdr_datasets.dataset import Source


class Windows:
    """Source of clips: clip k consists of the frames at starts[k] + offsets; its id is starts[k].

    Overlapping clips share their frames on disk, so 24-frame windows at every time step take no
    more room than the series.

    Args:
      frames: records of {"frames": (H, W, C)}, one a time step.
      starts: positions in `frames`; a range or an array.
      offsets: of a clip's frames from its start, in the order in which they are served.

    Raises:
      ValueError: a clip reaches beyond the series.
    """

    def __init__(self, frames: Source, starts: Sequence[int] | np.ndarray, offsets: Sequence[int]):
        self._frames = frames
        self._starts = starts
        self._offsets = tuple(int(offset) for offset in offsets)
        if len(starts):
            first = int(np.min(starts)) + min(self._offsets)
            last = int(np.max(starts)) + max(self._offsets)
            if first < 0 or last >= len(frames):
                raise ValueError(
                    f"clips reach from frame {first} to {last}; the series has frames 0 to "
                    f"{len(frames) - 1}."
                )

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: SupportsIndex) -> dict[str, Any]:
        start = int(self._starts[operator.index(index)])
        positions = [start + offset for offset in self._offsets]
        # One by one: TFDS's __getitems__ starts threads at every call, which is far slower.
        frames = np.stack([self._frames[position]["frames"] for position in positions])
        return {"frames": frames, "id": np.int64(start)}


def find_runs(times: np.ndarray) -> list[list[int]]:
    """[position, length] of each gapless stretch of time slots."""
    if not len(times):
        return []
    edges = [0, *(np.flatnonzero(np.diff(times) != 1) + 1).tolist(), len(times)]
    return [[first, last - first] for first, last in itertools.pairwise(edges)]


def window_starts(runs: Sequence[Sequence[int]], length: int, stride: int = 1) -> list[int]:
    """Positions at which windows of `length` frames begin that lie within one run.

    Args:
      runs: as `find_runs` returns them.
      length: of a window.
      stride: frames between the starts of neighbouring windows of a run.
    """
    return [
        start for first, count in runs for start in range(first, first + count - length + 1, stride)
    ]
