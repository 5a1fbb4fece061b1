"""Opens files of city-wide flows in DeepST's layout: two counts a cell, one frame a time slot."""

import dataclasses
import datetime
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

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
    """

    path: Path
    times: np.ndarray
    blocks: Callable[[], Iterator[np.ndarray]]


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
    with _opened(path) as file:
        for name in ("data", "date"):
            if name not in file:
                raise ValueError(f"{path} holds no {name!r}. It holds: {', '.join(file)}.")
        data, dates = file["data"], file["date"][()]
        _check_shape(path, "data", data, height, width)
        if dates.shape != data.shape[:1]:
            raise ValueError(
                f"{path}: 'date' has shape {dates.shape}: expected {data.shape[:1]}, as 'data'."
            )
    times = np.array([_parse(path, i, date, slots) for i, date in enumerate(dates)], np.int64)
    for i in np.flatnonzero(np.diff(times) <= 0)[:1]:
        what = "twice" if times[i] == times[i + 1] else "out of order"
        raise ValueError(
            f"{path}: 'date' is {what} at {i} and {i + 1}: {_text(dates[i])}, "
            f"{_text(dates[i + 1])}. Expected ascending time slots."
        )

    def blocks() -> Iterator[np.ndarray]:
        with _opened(path) as file:
            for start in range(0, len(times), _BLOCK):
                try:
                    block = file["data"][start : start + _BLOCK]
                except OSError as error:
                    raise OSError(
                        f"{path}: 'data' cannot be read from frame {start}: {error}. Fetch it "
                        "again."
                    ) from error
                yield block

    return Flow(path, times, blocks)


def open_npz(path: Path, height: int, width: int) -> Flow:
    """Opens an .npz file with "flow" (T, 2, H, W): without timestamps, so taken for gapless.

    Args:
      path: of the file.
      height: H.
      width: W.

    Raises:
      OSError: the file is no .npz, or broken.
      ValueError: it holds another array than described.
    """
    member = open_member(path, "flow")
    _check_shape(path, "flow", member, height, width)
    return Flow(path, np.arange(member.shape[0]), lambda: member.blocks(_BLOCK))


def _check_shape(path: Path, name: str, array: Any, height: int, width: int) -> None:
    if array.shape[1:] != (2, height, width) or not array.shape[0]:
        raise ValueError(
            f"{path}: {name!r} has shape {array.shape}: expected (T, 2, {height}, {width})."
        )
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{path}: {name!r} has dtype {array.dtype}: expected numbers.")


def _parse(path: Path, index: int, date: Any, slots: int) -> int:
    match = _DATE.fullmatch(_text(date))
    try:
        if match is None:
            raise ValueError("expected ten digits: year, month, day, slot")
        year, month, day, slot = map(int, match.groups())
        if not 1 <= slot <= slots:
            raise ValueError(f"expected a slot from 01 to {slots}")
        return datetime.date(year, month, day).toordinal() * slots + slot - 1
    except ValueError as error:
        raise ValueError(f"{path}: 'date' {_text(date)!r} at {index}: {error}.") from error


def _text(date: Any) -> str:
    return date.decode("ascii", "replace") if isinstance(date, bytes) else str(date)


def _opened(path: Path) -> Any:
    try:
        import h5py
    except ImportError as error:
        raise ImportError(f"{path} needs the package h5py: pip install pdr-jax[data]") from error
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise OSError(
            f"{path} is not an HDF5 file that can be opened, or is truncated: {error}. Fetch it "
            "again."
        ) from error
