"""Prediction from NetCDF, HDF5 and Zarr whose axes have names: what follows becomes NetCDF."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pdr_datasets.arrays.files import read_array
from pdr_datasets.arrays.joined import Joined
from pdr_datasets.arrays.times import numbers_after
from pdr_datasets.arrays.values import as_values
from pdr_datasets.arrays.view import View
from pdr_jax.files import replacing
from pdr_jax.task import Task

# Attributes of stored numbers, and names of variables that are not written.
_STORED: tuple[str, ...] = ("scale_factor", "add_offset", "_FillValue", "missing_value")
_STORED += ("_Unsigned", "valid_min", "valid_max", "valid_range", "actual_range")
_OTHERS = ("ancillary_variables", "cell_measures", "bounds")


class NamedSeries(NamedTuple):
    """The end of a series, from which a run predicts.

    Attributes:
      frames: (T, H, W, C), the last that the run needs, in stored units.
      joined: the files.
      notes: what was found.
    """

    frames: np.ndarray
    joined: Joined
    notes: list[str]


def read_series(source: Path, task: Task, options: Mapping[str, Any]) -> NamedSeries:
    """The last frames of a file, or of a folder or pattern of files; others are not read.

    Args:
      source: see `pdr_datasets.arrays.open_arrays`.
      task: the run.
      options: of `open_arrays`, of which key, levels, crop and pad are used.

    Raises:
      ValueError: the axes have no names, there is a gap in time where frames are needed, or the
        rows go the other way than the run's.
      OSError: a file is broken or missing.
      ImportError: a package that a file needs is not installed.
    """
    given = {name: options.get(name, "") for name in ("key", "levels", "crop", "pad")}
    given = {name: None if value == "" else value for name, value in given.items()}
    joined, note = read_array(source, given["key"], given["levels"])
    if not isinstance(joined, Joined):
        raise ValueError(
            f"{source}: no axis is time, by its name or attributes; save the array as .npy"
        )
    length, total = task.clip.in_length, joined.shape[0]
    if total < length:
        raise ValueError(f"{source} has {total} frames; {length} are needed")
    if (last := joined.runs[-1][1]) < length:
        raise ValueError(
            f"{source}: {last} frame{'s follow' if last > 1 else ' follows'} the last gap in time; "
            f"{length} without a gap are needed. {note}"
        )
    north = joined.latitudes[:1] > joined.latitudes[-1:]
    if north and task.dataset.name == "weatherbench":
        raise ValueError(
            f"{source}: rows go from north to south, and this run's from south to north: reverse "
            "them, as with xarray's sortby('latitude')"
        )
    data = as_values(joined, str(source))
    view = View(data, joined.axes, given["crop"], given["pad"], str(source))
    notes = [f"{source}: {joined.reading}", *filter(None, [note])]
    return NamedSeries(view.read(total - length, total), joined, notes)


def write_series(series: NamedSeries, target: Path, future: np.ndarray) -> None:
    """Writes predicted frames as NetCDF, whole or not at all.

    Name, attributes, order of the axes and coordinates are those of the source; times go on in the
    same step. Packed numbers are written as decoded. Rows and columns that padding added are left
    out. Samples are numbered from 0 along the first dimension, "member", whose standard name is
    "realization"; where the source has a "member" already, it is "member_".

    Args:
      series: that `future` follows.
      target: the .nc or .nc4 file.
      future: (T', H, W, C), or samples of it (n, T', H, W, C), stored units.

    Raises:
      ImportError: the package h5netcdf is not installed.
    """
    import xarray

    last, times = series.joined.parts[-1], series.joined.times
    axes, source = last.axes, last.variable
    kept = {
        dim: slice(min(source.sizes[dim], size))
        for dim, size in zip((axes.row, axes.column), future.shape[-3:-1], strict=True)
    }
    source = source.isel(kept)
    rows, columns = kept.values()
    values = future[..., rows, columns, :]
    coordinates = {
        name: (each.dims, each.values, _attributes(each.attrs, _OTHERS))
        for name, each in source.coords.items()
        if axes.time not in (name, *each.dims)
    }
    if times is not None:
        stored = source.coords[axes.time].variable
        numbers = numbers_after(stored, times, future.shape[-4])
        coordinates[axes.time] = (axes.time, numbers, _attributes(stored.attrs, _OTHERS))
    members: tuple[str, ...] = ()
    if future.ndim == 5:
        taken = {str(name) for name in (source.name, *source.dims, *source.coords)}
        members = ("member" if "member" not in taken else "member_",)
        named = {"standard_name": "realization"}
        coordinates[members[0]] = (members, np.arange(len(future), dtype=np.int32), named)
    missing = [] if source.attrs.get("grid_mapping") in coordinates else ["grid_mapping"]
    array = xarray.DataArray(
        values if axes.level else values[..., 0],
        coordinates,
        (*members, *axes.frames),
        source.name,
        _attributes(source.attrs, (*_STORED, *_OTHERS, *missing)),
    )
    if axes.time in source.dims:
        array = array.transpose(*members, *source.dims)
    dataset = array.to_dataset().assign_attrs(Conventions="CF-1.8", source="predicted by pdr-jax")
    with replacing(target) as partial:
        dataset.to_netcdf(partial, engine="h5netcdf")


def _attributes(attributes: Mapping[str, Any], without: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if name not in without}
