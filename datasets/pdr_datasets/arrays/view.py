"""Stored data as channels-last frames, read as needed: whole clips, or windows of a series."""

import math
import operator
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, SupportsIndex

import numpy as np

from pdr_datasets.arrays.axes import channels_last

_CHUNK_BYTES = 64 * 2**20  # checked at a time


class View:
    """A channels-last, cropped and padded view of stored data, read along its first axis.

    Args:
      data: anything that can be sliced and has shape and dtype.
      axes: one of `axes.AXES`.
      crop: (height, width) to keep, from the top left.
      pad: (height, width) to reach, at the bottom and right, by repeating the edge.
      label: names the data in messages.

    Attributes:
      shape: (N, T, H, W, C) or (T, H, W, C).
      dtype: uint8 or float32.

    Raises:
      ValueError: `crop` or `pad` does not fit the frames.
    """

    def __init__(
        self,
        data: Any,
        axes: str,
        crop: tuple[int, int] | None = None,
        pad: tuple[int, int] | None = None,
        label: str = "array",
    ):
        self._data, self._axes, self._label = data, axes, label
        full = channels_last(np.broadcast_to(np.uint8(0), data.shape), axes).shape
        stored = full[-3:-1]
        _check_size("crop", crop, (1, 1), stored, f"the frames are {stored[0]} x {stored[1]}")
        kept = stored if crop is None else crop
        _check_size("pad", pad, kept, (2 * kept[0], 2 * kept[1]), "up to twice the frames")
        served = kept if pad is None else pad
        self._crop = (..., slice(kept[0]), slice(kept[1]), slice(None))
        self._margins = [(0, 0)] * (len(full) - 3)
        self._margins += [(0, b - a) for a, b in zip(kept, served, strict=True)] + [(0, 0)]
        self.shape = (*full[:-3], *served, full[-1])
        self.dtype = np.dtype(np.uint8 if data.dtype == np.uint8 else np.float32)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Entries start ... stop - 1 of the first axis.

        Raises:
          OSError: the data cannot be read.
          ValueError: the data is uint8 and masked.
        """
        try:
            block = self._data[start:stop]
        # As Zarr's codecs and HDF5 say that a chunk is damaged.
        except (OSError, RuntimeError, ValueError, EOFError, MemoryError, zlib.error) as error:
            raise OSError(
                f"{self._label}: entries {start} to {stop - 1} cannot be read: {error}"
            ) from error
        if np.ma.is_masked(block):  # by what masks on its own, as netCDF4.Variable does
            if self.dtype == np.uint8:
                raise ValueError(
                    f"{self._label} is masked within entries {start} to {stop - 1}. Fill these "
                    "values first."
                )
            block = block.astype(np.float32).filled(np.nan)
        block = channels_last(np.asarray(block), self._axes)[self._crop]
        with np.errstate(over="ignore"):  # what float32 cannot hold is refused as infinite
            block = np.ascontiguousarray(block, self.dtype)
        return np.pad(block, self._margins, "edge") if np.any(self._margins) else block

    def rows(self, values: Sequence[float]) -> tuple[float, ...]:
        """Of one value for each stored row, those of the H rows that are served."""
        kept = np.asarray(values)[self._crop[1]]
        return tuple(np.pad(kept, self._margins[-3], "edge").tolist())

    def chunks(self, stop: int | None = None) -> Iterator[tuple[int, np.ndarray]]:
        """All entries before `stop`, at most _CHUNK_BYTES at a time, each chunk with its start."""
        stop = self.shape[0] if stop is None else stop
        step = max(1, _CHUNK_BYTES // (self.dtype.itemsize * math.prod(self.shape[1:])))
        for start in range(0, stop, step):
            yield start, self.read(start, min(start + step, stop))


class Samples:
    """Source of the samples first ... last - 1 of (N, T, H, W, C)."""

    def __init__(self, view: View, first: int, last: int, length: int):
        self._view, self._first, self._length = view, first, length
        self._number = last - first

    def __len__(self) -> int:
        return self._number

    def __getitem__(self, index: SupportsIndex) -> dict[str, Any]:
        position = self._first + range(self._number)[index]
        frames = self._view.read(position, position + 1)[0, : self._length]
        return {"frames": frames, "id": np.int64(position)}


class Windows:
    """Source of windows of (T, H, W, C), each `length` frames from one of `starts`."""

    def __init__(self, view: View, starts: Sequence[int], length: int):
        self._view, self._length, self._starts = view, length, starts

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: SupportsIndex) -> dict[str, Any]:
        start = self._starts[operator.index(index)]
        return {"frames": self._view.read(start, start + self._length), "id": np.int64(start)}


def _check_size(field: str, size: Any, low: Any, high: Any, why: str) -> None:
    """Raises ValueError unless `size` is None, or (height, width) from `low` to `high`."""
    whole = (
        isinstance(size, tuple | list)
        and len(size) == 2
        and all(isinstance(side, int) and not isinstance(side, bool) for side in size)
    )
    if size is not None and not (
        whole and all(a <= side <= b for a, side, b in zip(low, size, high, strict=True))
    ):
        raise ValueError(
            f"{field}={size!r}: expected (height, width) from {tuple(low)} to {tuple(high)}; {why}."
        )
