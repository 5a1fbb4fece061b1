"""A source that is held whole: every distinct frame once, and clips as positions of frames."""

import hashlib
from typing import Any, SupportsIndex

import numpy as np

from pdr_datasets.dataset import Source


class Resident:
    """Source of {"frames": (T,) int32 positions in `self.frames`, "id"}, made from clips.

    With the frames on a device, a batch is a few positions; `batches` serves them in the order in
    which it serves the clips. Overlapping clips share their frames, however they are stored: all
    windows of a series take no more room than the series.

    Attributes:
      frames: (N, H, W, C) in the stored dtype, all different.

    Args:
      source: the clips; read once, at construction.
      resident_mib: the most that the distinct frames may take, in MiB.

    Raises:
      ValueError: the frames take more, or the source is empty.
    """

    def __init__(self, source: Source, resident_mib: float):
        if not len(source):
            raise ValueError("source is empty: expected at least one sample.")
        frames: list[np.ndarray] = []
        known: dict[bytes, int] = {}  # digest -> position
        positions, ids = [], []
        for index in range(len(source)):
            sample = source[index]
            row = []
            for frame in np.ascontiguousarray(sample["frames"]):
                position = known.setdefault(_digest(frame), len(frames))
                if position == len(frames):
                    frames.append(frame.copy())  # a view would keep its whole clip
                row.append(position)
            positions.append(row)
            ids.append(sample["id"])
            if len(frames) * frames[0].nbytes > resident_mib * 2**20:
                raise ValueError(
                    f"resident_mib={resident_mib}: the first {index + 1} of {len(source)} clips "
                    f"have {len(frames)} distinct frames of {frames[0].nbytes} bytes, which take "
                    "more. Allow more, or stream the clips."
                )
        self.frames = np.stack(frames)
        self._positions = np.array(positions, np.int32)
        self._ids = np.array(ids, np.int64)

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, index: SupportsIndex) -> dict[str, Any]:
        return {"frames": self._positions[index], "id": self._ids[index]}


def _digest(frame: np.ndarray) -> bytes:
    return hashlib.blake2b(frame.tobytes(), digest_size=16).digest()
