"""A variable over time, from one file or several, in the order of their times."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pdr_datasets.arrays.labels import Labelled
from pdr_datasets.arrays.times import Times, describe_gaps, join
from pdr_datasets.series import find_runs


class Joined:
    """Parts one after another, (T, H, W) or (T, H, W, C), read when they are sliced along time.

    Attributes:
      parts: in the order of time.
      shape: of all together.
      dtype: uint8 or floating-point; float32 if any part is packed.
      fills: the fill values of the first part, by the attribute's name.
      axes: "THW" or "THWC".
      latitudes: of the rows, in degrees; () if they are not known.
      runs: [position, length] of each gapless stretch.
      reading: names of the axes, variable, unit, step and times, in words.
      note: on gaps and on times that are not there, or "".

    Raises:
      ValueError: parts differ in grid, levels, unit or type, or their times overlap or are missing.
    """

    def __init__(self, parts: Sequence[Labelled]):
        if len(parts) > 1:
            _check_alike(parts)
            parts = sorted(parts, key=_start)
        self.parts, first = parts, parts[0]
        self._ends = np.cumsum([part.data.shape[0] for part in parts])
        self.shape = (int(self._ends[-1]), *first.data.shape[1:])
        self.dtype = first.data.dtype
        self.fills = getattr(first.data, "fills", {})
        self.axes = "THW" if first.axes.level is None else "THWC"
        self.latitudes = first.latitudes
        self.times: Times | None = None
        self.runs, self.note = [[0, self.shape[0]]], ""
        self.reading = f"{', '.join(first.axes.frames)}: {first.describe()}"
        if first.times is None:
            self.note = f"{first.axes.time!r} has no times: the series is taken for gapless."
            return
        times = join([_times(part) for part in parts], [part.label for part in parts])
        positions, step = times.positions(first.label)
        self.times, self.runs = times, find_runs(positions)
        self.reading += f", one every {step} from {times.word(0)} to {times.word(-1)}"
        self.note = describe_gaps(times, positions)

    def __getitem__(self, index: slice) -> np.ndarray:
        start, stop, step = index.indices(self.shape[0])
        first, last = np.searchsorted(self._ends, (start, stop - 1), "right")
        blocks = [np.empty((0, *self.shape[1:]), self.dtype)]
        for part, end in list(zip(self.parts, self._ends, strict=True))[first : last + 1]:
            begin = end - part.data.shape[0]
            try:
                blocks.append(part.data[max(start - begin, 0) : stop - begin])
            except (OSError, RuntimeError, ValueError, KeyError) as error:
                raise OSError(f"{part.label}: {error}") from error
        return np.concatenate(blocks)[::step]


def _times(part: Labelled) -> Times:
    if part.times is None or not len(part.times.ticks):
        raise ValueError(f"{part.label} has no times: several files are joined by their times.")
    return part.times


def _start(part: Labelled) -> int:
    return int(_times(part).ticks[0])


def _check_alike(parts: Sequence[Labelled]) -> None:
    """Raises ValueError unless all parts are like the first, but for their times."""
    first = parts[0]
    for part in parts[1:]:
        for what, one, other in (
            ("axes", first.axes.frames, part.axes.frames),
            ("frames of shape", first.data.shape[1:], part.data.shape[1:]),
            ("values of type", first.data.dtype, part.data.dtype),
            ("unit", _unit(first), _unit(part)),
        ):
            if one != other:
                raise ValueError(
                    f"{part.label} has {what} {other}, and {first.label} {one}: expected the same "
                    "in all files."
                )
        for one, other in zip(first.grid, part.grid, strict=False):
            if one.dtype.kind in "iuf" and not np.allclose(one, other, atol=1e-3):
                raise ValueError(
                    f"{part.label} lies on another grid than {first.label}: expected the same in "
                    "all files."
                )


def _unit(part: Labelled) -> Any:
    return part.variable.attrs.get("units", "")
