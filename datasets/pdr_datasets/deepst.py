"""Opens files of city-wide flows in DeepST's layout: two counts a cell, one frame a time slot."""

import dataclasses
import datetime
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pdr_datasets.hdf5 import check_array, open_hdf5, read_block
from pdr_datasets.npz import open_member

_BLOCK = 1024  # frames read at a time
_DATE = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)")


@dataclasses.dataclass(frozen=True)
class Flow:
    """One file, whose frames have not been read.

    Attributes:
      path: of the file.
      times: (T,) int64, the time slot of each frame, counted from year 1: ascending, 1 apart where
        none is missing; midnight is a multiple of the number of slots a day.
      blocks: iterates over the frames, in blocks of (n, 2, H, W) counts.
      missing: (T,) bool, which frames are NaN because the file has none for their time slot.
    """

    path: Path
    times: np.ndarray
    blocks: Callable[[], Iterator[np.ndarray]]
    missing: np.ndarray


def open_h5(path: Path, height: int, width: int, slots: int) -> Flow:
    """Opens HDF5 with "data" (T, 2, H, W) and "date" (T,), such as b"2013070101": day and slot.

    Args:
      path: of the file.
      height: H.
      width: W.
      slots: time slots a day; "date" counts them from 1.

    Raises:
      OSError: the file is no HDF5 file, or is truncated.
      ValueError: it holds other data than described, or its time slots do not ascend.
      ImportError: the package h5py is not installed.
    """
    with open_hdf5(path) as file:
        for name in ("data", "date"):
            if name not in file:
                raise ValueError(f"{path} holds no {name!r}. It holds: {', '.join(file)}.")
            check_array(path, name, file[name])
        _check_shape(path, "data", file["data"], height, width)
        _check_count(path, "date", file["date"], "data", file["data"])
        dates = file["date"][()]
    times = _parse_times(path, "date", dates, slots, first=1)

    def blocks() -> Iterator[np.ndarray]:
        with open_hdf5(path) as file:
            for start in range(0, len(times), _BLOCK):
                yield read_block(path, "data", file["data"], start, start + _BLOCK)

    return Flow(path, times, blocks, np.zeros(len(times), bool))


def open_npz(path: Path, height: int, width: int, slots: int | None = None) -> Flow:
    """Opens an .npz file with "flow" (T, 2, H, W) and, given `slots`, "time" (T,).

    Args:
      path: of the file.
      height: H.
      width: W.
      slots: time slots a day; "time", such as "2010010100", is the day and the slot, counted from
        0. None: the file has no timestamps, and is taken for gapless.

    Raises:
      OSError: the file is no .npz, or broken.
      ValueError: it holds other arrays than described, or its time slots do not ascend.
    """
    flow = open_member(path, "flow")
    _check_shape(path, "flow", flow, height, width)
    times = np.arange(flow.shape[0])
    if slots is not None:
        time = open_member(path, "time", text=True)
        _check_count(path, "time", time, "flow", flow)
        times = _parse_times(path, "time", np.concatenate([*time.blocks(_BLOCK)]), slots, first=0)
    return Flow(path, times, lambda: flow.blocks(_BLOCK), np.zeros(len(times), bool))


def _check_shape(path: Path, name: str, array: Any, height: int, width: int) -> None:
    if array.shape[1:] != (2, height, width) or not array.shape[0]:
        raise ValueError(
            f"{path}: {name!r} has shape {array.shape}: expected (T, 2, {height}, {width})."
        )
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{path}: {name!r} has dtype {array.dtype}: expected numbers.")


def _check_count(path: Path, name: str, dates: Any, counts: str, array: Any) -> None:
    if dates.shape != array.shape[:1]:
        raise ValueError(
            f"{path}: {name!r} has shape {dates.shape}: expected {array.shape[:1]}, as {counts!r}."
        )


def _parse_times(path: Path, name: str, dates: np.ndarray, slots: int, first: int) -> np.ndarray:
    """`Flow.times` of days and slots; `first` is the number of a day's first slot."""
    times = np.empty(len(dates), np.int64)
    for i, date in enumerate(dates):
        try:
            times[i] = _parse(_text(date), slots, first)
        except ValueError as error:
            raise ValueError(f"{path}: {name!r} {_text(date)!r} at {i}: {error}.") from error
    for i in np.flatnonzero(np.diff(times) <= 0)[:1]:
        what = "twice" if times[i] == times[i + 1] else "out of order"
        raise ValueError(
            f"{path}: {name!r} is {what} at {i} and {i + 1}: {_text(dates[i])}, "
            f"{_text(dates[i + 1])}. Expected ascending time slots."
        )
    return times


def _parse(date: str, slots: int, first: int) -> int:
    match = _DATE.fullmatch(date)
    if match is None:
        raise ValueError("expected ten digits: year, month, day, slot")
    year, month, day, slot = map(int, match.groups())
    if not first <= slot < first + slots:
        raise ValueError(f"expected a slot from {first:02d} to {first + slots - 1}")
    return datetime.date(year, month, day).toordinal() * slots + slot - first


def _text(date: Any) -> str:
    return date.decode("ascii", "replace") if isinstance(date, bytes) else str(date)
