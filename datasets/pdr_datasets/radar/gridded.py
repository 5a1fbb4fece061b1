"""Radar maps in NetCDF: one or several in a file, such as those of BoM's Rainfields."""

from pathlib import Path
from typing import Any

import numpy as np

from pdr_datasets.netcdf import BROKEN, open_dataset
from pdr_datasets.radar.about import About
from pdr_datasets.radar.fields import FieldFile, Map, as_rate
from pdr_datasets.radar.names import time_of_name

SUFFIXES = (".nc", ".nc4")
_TIMES = ("valid_time", "time")
_UNITS = {
    "dbz": ("dBZ", 1.0),
    **dict.fromkeys(("mm/h", "mm h-1", "mm hr-1", "mm/hr", "kg m-2 h-1"), ("mm/h", 1.0)),
    **dict.fromkeys(("kg m-2 s-1", "mm s-1", "mm/s"), ("mm/h", 3600.0)),
    **dict.fromkeys(("mm", "kg m-2", "kg/m2"), ("mm", 1.0)),
    **dict.fromkeys(("m",), ("mm", 1000.0)),
}


def open_netcdf(path: Path, about: About) -> FieldFile:
    """A file whose variable is (y, x) or (time, y, x), beside axes of one entry.

    Its time is a variable valid_time or time, or else that of the file's name. An amount fell from
    start_time to valid_time.

    Raises:
      OSError: the file is damaged.
      ValueError: it holds no such variable, several, or one of another unit.
      ImportError: xarray or h5netcdf is not installed.
    """
    with _opened(path) as data:
        name = _variable(path, data, about)
        times = next((data[time].values for time in _TIMES if time in data.variables), None)
        if times is not None and np.issubdtype(np.asarray(times).dtype, np.datetime64):
            times = np.atleast_1d(times).astype("datetime64[s]")
        else:
            times = time_of_name(path, about.time)
        count = int(np.prod(data[name].shape[:-2]))
        if len(times) != count:
            raise ValueError(
                f"{path}: {name!r} has the axes {dict(data[name].sizes)} and {len(times)} times: "
                "expected time, rows and columns."
            )

    def read(index: int) -> Map:
        with _opened(path) as data:
            variable = data[name]
            unit, factor = _UNITS.get(str(variable.attrs.get("units", "")).lower(), ("", 1.0))
            unit = about.unit or unit
            minutes = about.minutes
            if unit == "mm" and not minutes:
                minutes = _minutes(path, data, index)
            try:
                values = np.asarray(variable.values, np.float64)
            except BROKEN as error:
                raise OSError(f"{path}: {name!r} cannot be read: {error}") from error
            return as_rate(values.reshape(-1, *values.shape[-2:])[index] * factor, unit, minutes)

    return FieldFile(path, times, read)


def _variable(path: Path, data: Any, about: About) -> str:
    known = {
        str(name): str(variable.attrs.get("units", ""))
        for name, variable in data.data_vars.items()
        if variable.ndim >= 2 and variable.dtype.kind in "iuf"
    }
    if about.key:
        usable = [name for name in known if name == about.key]
    else:
        usable = [name for name, unit in known.items() if unit.lower() in _UNITS or about.unit]
    if len(usable) == 1 and (about.unit or known[usable[0]].lower() in _UNITS):
        return usable[0]
    listed = ", ".join(f"{name} in {unit or 'no unit'}" for name, unit in known.items())
    raise ValueError(
        f"{path} holds {listed or 'no maps'}: expected one in dBZ, mm/h or mm; put key, and unit "
        "where it has none, into radar.json."
    )


def _minutes(path: Path, data: Any, index: int) -> float:
    """In which an amount fell."""
    if {"start_time", "valid_time"} <= set(data.variables):
        start, end = (np.atleast_1d(data[at].values) for at in ("start_time", "valid_time"))
        minutes = float((end - start)[index] / np.timedelta64(60, "s"))
        if minutes > 0:
            return minutes
    raise ValueError(
        f"{path}: it is not known in how many minutes it fell: put minutes into radar.json."
    )


def _opened(path: Path) -> Any:
    with path.open("rb") as file:
        engine = "scipy" if file.read(3) == b"CDF" else "h5netcdf"
    return open_dataset(path, engine, str(path))
