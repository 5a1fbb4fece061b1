"""Variables whose axes have names: which is which, and their frames in the order of time."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from pdr_datasets.arrays.axes import CHANNELS
from pdr_datasets.arrays.packed import unpack
from pdr_datasets.arrays.times import Times, decode

# By role: names of dimensions, CF's standard names, CF's letter for the axis.
_ROLES = {
    "time": (("time", "valid_time", "t", "datetime", "date", "times"), ("time",), "T"),
    "row": (
        ("latitude", "lat", "y", "rlat", "south_north", "nlat", "row", "rows"),
        ("latitude", "grid_latitude", "projection_y_coordinate"),
        "Y",
    ),
    "column": (
        ("longitude", "lon", "x", "rlon", "west_east", "nlon", "column", "columns"),
        ("longitude", "grid_longitude", "projection_x_coordinate"),
        "X",
    ),
}
_NORTH = ("degrees_north", "degree_north", "degree_n", "degrees_n")
_SHOWN = 20  # levels that a message names


@dataclasses.dataclass(frozen=True)
class Axes:
    """Names of a variable's dimensions; those of one entry that are none of these are left out."""

    time: str
    row: str
    column: str
    level: str | None = None

    @property
    def frames(self) -> tuple[str, ...]:
        """In the order of (T, H, W) or (T, H, W, C)."""
        named = (self.time, self.row, self.column, self.level)
        return tuple(name for name in named if name is not None)


class Labelled:
    """One file's variable, (T, H, W) or (T, H, W, C), read when it is sliced along time.

    Attributes:
      label: names it in messages.
      variable: the xarray.DataArray of the chosen levels, neither read nor decoded.
      axes: the names of its dimensions.
      times: of the frames; None if the file has none.
      data: (T, H, W) or (T, H, W, C), decoded; see `unpack`.
    """

    def __init__(self, variable: Any, axes: Axes, label: str):
        self.variable, self.axes, self.label = variable, axes, label
        self.times: Times | None = None
        if axes.time in variable.coords:
            stored = variable.coords[axes.time].variable
            stored = stored if stored.ndim else stored.set_dims(axes.time)
            self.times = decode(stored, f"{label}: {axes.time!r}")
            self.times.check_order(label)
        try:
            self.data = unpack(_Stored(variable, axes))
        except ValueError as error:
            raise ValueError(f"{label}: {error}") from error

    @property
    def latitudes(self) -> tuple[float, ...]:
        """Of the rows, in degrees; () if the rows are no latitudes."""
        row = self.axes.row
        if row not in self.variable.coords:
            return ()
        found = self.variable.coords[row]
        values = np.asarray(found.values)
        north = str(found.attrs.get("units", "")).lower() in _NORTH
        north |= found.attrs.get("standard_name") == "latitude"
        north |= row.lower() in ("latitude", "lat") and "units" not in found.attrs
        if not north or values.dtype.kind not in "iuf" or not (np.abs(values) <= 90.001).all():
            return ()
        return tuple(np.clip(values.astype(np.float64), -90, 90).tolist())

    @property
    def grid(self) -> list[np.ndarray]:
        """Coordinates of rows, columns and levels, where there are any."""
        coordinates, dims = self.variable.coords, self.axes.frames[1:]
        return [np.asarray(coordinates[dim].values) for dim in dims if dim in coordinates]

    def describe(self) -> str:
        """Name, unit and latitudes: "t2m (2 metre temperature, K), latitudes from 90 to -90"."""
        attributes, rows = self.variable.attrs, self.latitudes
        said = [str(attributes[name]) for name in ("long_name", "units") if name in attributes]
        described = f"{self.variable.name}" + (f" ({', '.join(said)})" if said else "")
        return described + (f", latitudes from {rows[0]:g} to {rows[-1]:g}" if rows else "")


class _Stored:
    """An xarray.DataArray with its axes in the order of frames, as it is stored."""

    def __init__(self, variable: Any, axes: Axes):
        self._variable, self._axes = variable, axes
        self.shape = tuple(variable.sizes.get(name, 1) for name in axes.frames)
        self.dtype, self.attrs = variable.dtype, variable.attrs

    def __getitem__(self, times: slice) -> np.ndarray:
        if self._axes.time not in self._variable.dims:
            return self._variable.transpose(*self._axes.frames[1:]).values[np.newaxis][times]
        part = self._variable.isel({self._axes.time: times})
        return part.transpose(*self._axes.frames).values


def find_label(variable: Any, levels: Any, label: str) -> Labelled | None:
    """Tells the axes of a variable; None if it is no series.

    That is, if no axis is time, or others come before a time that has no dates, as in clips.

    Args:
      variable: an xarray.DataArray, neither read nor decoded.
      levels: values of the axis beside time, rows and columns that become channels; None if there
        is no such axis, or if it has no values and 4 entries at most: these are channels.
      label: names it in messages.

    Raises:
      ValueError: the axes are not understood, or `levels` does not fit; the message lists them.
    """
    time = _time(variable)
    if time is None or (variable.dims[0] != time and not _has_dates(variable, time)):
        return None
    row, column = _plane(variable, time, label)
    rest = [dim for dim in map(str, variable.dims) if dim not in (time, row, column)]
    kept = [dim for dim in rest if variable.sizes[dim] > 1] or rest[-1:] * (levels is not None)
    if len(kept) > 1:
        raise ValueError(
            f"{label} has the axes {' and '.join(kept)} beside {time}, {row} and {column}: "
            "expected one at most. Choose one entry of the others, as with xarray's isel."
        )
    if levels is not None and not kept:
        raise ValueError(f"levels={levels!r}: {label} has no axis of levels; leave levels out.")
    variable = variable.isel({dim: 0 for dim in rest if dim not in kept})
    if kept:
        variable = _choose(variable, kept[0], levels, label)
    return Labelled(variable, Axes(time, row, column, *kept), label)


def _time(variable: Any) -> str | None:
    """The axis of time; of a single frame, the name of the time beside it."""
    names = map(str, variable.dims if variable.ndim > 2 else variable.coords)
    found = [name for name in names if _role(variable, name) == "time"]
    return found[0] if len(found) == 1 else None


def _plane(variable: Any, time: str, label: str) -> tuple[str, str]:
    """The axes of rows and columns: by their roles, else the only two that are left."""
    others = [dim for dim in map(str, variable.dims) if dim != time]
    found = [[d for d in others if _role(variable, d) == role] for role in ("row", "column")]
    if all(len(dims) == 1 for dims in found):
        return found[0][0], found[1][0]
    large = [dim for dim in others if variable.sizes[dim] > 1]
    if len(large) != 2 or found[0] == large[1:] or found[1] == large[:1]:
        sizes = ", ".join(f"{dim} {size}" for dim, size in variable.sizes.items())
        raise ValueError(
            f"{label} has the axes {sizes}: expected, beside time, latitude and longitude or y and "
            "x, by their names or attributes; or just two axes, rows and columns."
        )
    return large[0], large[1]


def _role(variable: Any, dim: str) -> str:
    """The role of a dimension, by what its coordinate says or else by its name; or ""."""
    attributes = variable.coords[dim].attrs if dim in variable.coords else {}
    for role, (_, standard, letter) in _ROLES.items():
        if attributes.get("standard_name") in standard or attributes.get("axis") == letter:
            return role
    if _has_dates(variable, dim):
        return "time"
    for role, (names, _, _) in _ROLES.items():
        if dim.lower() in names:
            return role
    return ""


def _has_dates(variable: Any, dim: str) -> bool:
    return dim in variable.coords and " since " in str(variable.coords[dim].attrs.get("units", ""))


def _choose(variable: Any, dim: str, levels: Any, label: str) -> Any:
    """The entries of an axis of levels whose values are `levels`."""
    if levels is None and dim not in variable.coords and variable.sizes[dim] <= CHANNELS:
        return variable
    coordinate = variable[dim]  # 0, 1, ... if it has no values
    unit = str(coordinate.attrs.get("units", ""))
    words = [_plain(value) for value in coordinate.values]
    chosen = [levels] if isinstance(levels, str | int | float | np.number) else levels
    known = f"{label} has {len(words)} levels ({dim}): {', '.join(words[:_SHOWN])}"
    known += f"{', ...' if len(words) > _SHOWN else ''} {unit}".rstrip()
    if chosen is None:
        raise ValueError(f"levels=None: {known}. Say which become channels with levels=.")
    if not isinstance(chosen, Sequence) or not len(chosen):
        raise ValueError(f"levels={levels!r}: expected values. {known}.")
    wanted = [_plain(value) for value in chosen]
    if missing := [value for value in wanted if value not in words]:
        raise ValueError(f"levels={levels!r}: {', '.join(missing)} is not there. {known}.")
    if len(set(wanted)) < len(wanted):
        raise ValueError(f"levels={levels!r}: a level is there twice.")
    return variable.isel({dim: [words.index(value) for value in wanted]})


def _plain(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return f"{value:g}" if isinstance(value, int | float | np.number) else str(value)
