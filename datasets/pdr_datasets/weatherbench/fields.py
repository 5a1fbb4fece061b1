"""A variable over time, in one or several files, opened lazily and read a stretch at a time."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from pdr_datasets.weatherbench.variables import Variable

_AXES = {"latitude": ("lat", "latitude"), "longitude": ("lon", "longitude")}


@dataclasses.dataclass(frozen=True)
class Part:
    """What one file holds of a variable.

    Attributes:
      path: of the file, for messages.
      array: an xarray.DataArray, not read yet.
      times: of the time steps, ascending.
      dims: the array's names of time, level (if it has levels), latitude and longitude.
      level: indices of the levels to read; None if the array has none.
      flip: whether the rows go from north to south.
    """

    path: str
    array: Any
    times: np.ndarray
    dims: tuple[str, ...]
    level: list[int] | None
    flip: bool

    def read(self, times: np.ndarray) -> np.ndarray:
        """(n, H, W, C) float32 at those of the evenly spaced `times` that lie in this part."""
        places = np.flatnonzero(np.isin(self.times, times, assume_unique=True))
        if not len(places):
            return np.empty((0, 0, 0, 0), np.float32)
        step = places[1] - places[0] if len(places) > 1 else 1
        chosen: dict[str, Any] = {"time": slice(places[0], places[-1] + 1, step)}
        if self.level is not None:
            chosen["level"] = self.level
        try:
            values = self.array.isel(chosen).transpose(*self.dims).values
        except (OSError, RuntimeError, ValueError) as error:
            raise OSError(f"{self.path} cannot be read: {error}") from error
        if self.level is None:
            values = values[:, np.newaxis]
        values = np.moveaxis(values, 1, -1).astype(np.float32)
        return values[:, ::-1] if self.flip else values


def make_part(path: str, dataset: Any, variable: Variable, key: str, degrees: float) -> Part:
    """Finds a variable in an opened file.

    Raises:
      ValueError: the variable is not there, lacks a level, or lies on another grid.
    """
    if key not in dataset.data_vars:
        there = ", ".join(map(str, dataset.data_vars)) or "no variables"
        raise ValueError(f"{path} has no variable {key!r}. It holds {there}.")
    array = dataset[key]
    axes = [_axis_name(path, array, axis) for axis in _AXES]
    latitudes, _ = (_coordinate(path, array, axis, degrees) for axis in axes)
    dims = ("time", *(["level"] if "level" in array.dims else []), *axes)
    if set(dims) != set(array.dims):
        raise ValueError(f"{path}: {key!r} has dimensions {array.dims}: expected {dims}.")
    return Part(
        path=path,
        array=array,
        times=_times(path, array),
        dims=dims,
        level=_levels(path, array, variable),
        flip=bool(latitudes[0] > latitudes[-1]),
    )


def grid(degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """Latitudes, from south to north, and longitudes: the centres of the grid's cells."""
    rows = round(180 / degrees)
    return -90 + degrees * (np.arange(rows) + 0.5), degrees * np.arange(2 * rows)


def _axis_name(path: str, array: Any, axis: str) -> str:
    for name in _AXES[axis]:
        if name in array.dims:
            return name
    raise ValueError(f"{path}: {array.name!r} has dimensions {array.dims}: expected a {axis}.")


def _coordinate(path: str, array: Any, axis: str, degrees: float) -> np.ndarray:
    expected = grid(degrees)[axis.startswith("lon")]
    found = np.asarray(array[axis].values, np.float64)
    if len(found) != len(expected):
        shape = " x ".join(str(array.sizes[name]) for name in array.dims[-2:])
        raise ValueError(
            f"{path}: {array.name!r} has {len(found)} values of {axis} (a grid of {shape}): "
            f"expected {len(expected)}, the grid of degrees={degrees:g}."
        )
    rising = found if found[-1] > found[0] else found[::-1]
    if not np.allclose(rising, expected, atol=0.01) or (rising is not found and axis[:3] != "lat"):
        raise ValueError(
            f"{path}: {axis} goes from {found[0]:g} to {found[-1]:g}: expected "
            f"{expected[0]:g} to {expected[-1]:g} in steps of {degrees:g}."
        )
    return found


def _times(path: str, array: Any) -> np.ndarray:
    times = array["time"].values if "time" in array.coords else np.zeros(0)
    if times.dtype.kind != "M" or not len(times):
        raise ValueError(f"{path}: {array.name!r} has no times that can be read as dates.")
    off = times[times != times.astype("datetime64[h]")]
    if len(off):
        raise ValueError(f"{path}: {off[0]} is not a whole hour.")
    if (falling := np.flatnonzero(times[1:] < times[:-1])).size:
        raise ValueError(f"{path}: times are not in order after {times[falling[0]]}.")
    return times.astype("datetime64[h]")


def _levels(path: str, array: Any, variable: Variable) -> list[int] | None:
    if "level" not in array.dims:
        if isinstance(variable.levels, tuple) and variable.levels:
            raise ValueError(
                f"{path}: {array.name!r} has no levels: expected {variable.levels} (hPa)."
            )
        return None
    if not variable.levels:
        raise ValueError(f"{path}: {array.name!r} has levels: expected a field without.")
    if variable.levels == "last":
        return [array.sizes["level"] - 1]
    there = [int(level) for level in array["level"].values]
    if missing := [level for level in variable.levels if level not in there]:
        raise ValueError(f"{path}: {array.name!r} has levels {there}; {missing} are missing.")
    return [there.index(level) for level in variable.levels]


@dataclasses.dataclass(frozen=True)
class Field:
    """A variable over time: its parts, sorted by time."""

    name: str
    parts: Sequence[Part]

    def read(self, times: np.ndarray) -> np.ndarray:
        """(len(times), H, W, C) float32 at evenly spaced times; `check` them first."""
        blocks = (part.read(times) for part in self.parts)
        return np.concatenate([block for block in blocks if len(block)])

    def check(self, times: np.ndarray) -> None:
        """Raises ValueError unless each time is there once, and no other between first and last."""
        found = np.concatenate([part.times for part in self.parts])
        found = np.sort(found[(found >= times[0]) & (found <= times[-1])])
        if (again := np.flatnonzero(found[1:] == found[:-1])).size:
            time = found[again[0]]
            paths = {part.path: None for part in self.parts if time in part.times}
            raise ValueError(f"{self.name}: {time} is there twice, in {' and '.join(paths)}.")
        wanted = _years(times)
        if missing := sorted(wanted - _years(found)):
            there = _years(np.concatenate([part.times for part in self.parts]))
            raise ValueError(
                f"{self.name}: no data of {_some(missing)}. There are {_some(sorted(there))}; "
                f"needed are {min(wanted)} to {max(wanted)}."
            )
        hours = int((times[1] - times[0]).astype(int))
        if (lacking := np.setdiff1d(times, found)).size:
            step = int(np.median(np.diff(found).astype(int))) if len(found) > 1 else 0
            raise ValueError(
                f"{self.name}: {lacking.size} of {len(times)} time steps are missing, the first "
                f"is {lacking[0]}. Expected one every {hours} h; found mostly {step} h apart."
            )
        if (between := np.setdiff1d(found, times)).size:
            raise ValueError(f"{self.name}: {between[0]} is not on a step of {hours} h.")


def _years(times: np.ndarray) -> set[int]:
    return set((np.unique(times.astype("datetime64[Y]")).astype(int) + 1970).tolist())


def _some(years: list[int]) -> str:
    shown = [str(year) for year in years]
    return ", ".join(shown if len(shown) <= 6 else [*shown[:3], "...", *shown[-2:]]) or "none"
