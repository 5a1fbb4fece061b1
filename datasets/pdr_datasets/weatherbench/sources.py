"""Opens WeatherBench 1's folders of NetCDF files and WeatherBench 2's Zarr stores."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pdr_datasets.netcdf import open_dataset
from pdr_datasets.weatherbench.fields import Field, Part, make_part
from pdr_datasets.weatherbench.variables import VARIABLES, Variable

SOURCES = ("wb1", "wb2")
STORE = "1959-2022-6h-64x32_equiangular_conservative.zarr"
EXPECTED_FILES = (
    "source='wb1': WeatherBench 1's NetCDF files (https://mediatum.ub.tum.de/1524895), "
    "each variable in its sub-folder, as 2m_temperature/2m_temperature_2010_5.625deg.nc.\n"
    f"source='wb2': WeatherBench 2's {STORE} (gs://weatherbench2/datasets/era5/): the folder, the "
    "one it lies in, or its URL."
)
HOURS = {"wb1": 1, "wb2": 6}  # between time steps


@contextlib.contextmanager
def open_fields(
    place: str | Path, source: str, variable: str, degrees: float
) -> Iterator[list[Field]]:
    """Opens the files of a set of variables; nothing but coordinates is read.

    Args:
      place: the manual directory, or a URL that fsspec knows.
      source: one of SOURCES.
      variable: a key of VARIABLES.
      degrees: of the grid.

    Raises:
      FileNotFoundError: a folder or store is missing or empty.
      OSError: a file cannot be read.
      ValueError: a file holds other data than expected; see `make_part`.
      ImportError: xarray is not installed.
    """
    with contextlib.ExitStack() as stack:

        def opened(path: str, engine: str) -> Any:
            return stack.enter_context(open_dataset(path, engine, path))

        if source == "wb2":
            path = _find_store(place)
            store = opened(path, "zarr")
            yield [
                Field(v.name, [make_part(path, store, v, v.name, degrees)])
                for v in VARIABLES[variable]
            ]
            return
        fields = []
        for v in VARIABLES[variable]:
            parts = [
                make_part(path, opened(path, "h5netcdf"), v, v.key, degrees)
                for path in _find_files(place, v)
            ]
            fields.append(Field(v.name, sorted(parts, key=_start)))
        yield fields


def _start(part: Part) -> Any:
    return part.times.min()


def _find_files(place: str | Path, variable: Variable) -> list[str]:
    if not isinstance(place, Path):
        raise ValueError(f"{place}: WeatherBench 1's files are read from a folder; fetch them.")
    folder = place / variable.name
    if not folder.is_dir():
        there = ", ".join(sorted(p.name for p in place.iterdir() if p.is_dir())) or "none"
        raise FileNotFoundError(
            f"{place} has no sub-folder {variable.name}. There are: {there}.\n{EXPECTED_FILES}"
        )
    files = sorted(folder.glob("*.nc"))
    if not files:
        raise FileNotFoundError(f"{folder} holds no .nc files.\n{EXPECTED_FILES}")
    return [os.fspath(file) for file in files]


def _find_store(place: str | Path) -> str:
    if not isinstance(place, Path) or place.suffix == ".zarr":
        return os.fspath(place)
    stores = sorted(place.glob("*.zarr"))
    if len(stores) != 1:
        names = ", ".join(store.name for store in stores) or "none"
        raise FileNotFoundError(
            f"{place}: expected one .zarr folder in it; there are: {names}.\n{EXPECTED_FILES}"
        )
    return os.fspath(stores[0])
