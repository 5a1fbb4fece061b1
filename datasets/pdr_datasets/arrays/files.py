"""Opens files of arrays: .npy is memory-mapped, .npz read whole, all others as needed."""

import glob
import os
from pathlib import Path
from typing import Any

from pdr_datasets.arrays.joined import Joined
from pdr_datasets.arrays.keys import KeyChoiceError, choose, no_key
from pdr_datasets.arrays.labels import find_label
from pdr_datasets.arrays.stores import read_zarr
from pdr_datasets.netcdf import SUFFIXES, check_variable, open_variables
from pdr_datasets.npy import open_npy
from pdr_datasets.npz import open_members
from pdr_datasets.places import expand

_NAMED = (*SUFFIXES, ".zarr")  # whose axes may have names


def read_array(
    path: str | os.PathLike[str], key: str | None, levels: Any = None
) -> tuple[Any, str]:
    """Opens the array in a file; slices along its first axis are read as needed (.npz: whole).

    What a header claims is compared with what is there before anything is allocated, see
    `pdr_datasets.bounds`.

    Args:
      path: .npy, .npz, .zarr, NetCDF or HDF5; or a folder or pattern ("era5_*.nc") of the last
        three, which are joined in the order of their times.
      key: the array's name where the file holds several; not needed if only one of them has 3 to
        5 axes.
      levels: see `find_label`.

    Returns:
      The array, a `Joined` if its axes have names; and what a user must know of it, or "".

    Raises:
      FileNotFoundError: there is no such file.
      OSError: the file is broken.
      ValueError: the file is broken or of another kind, or `key` does not name one array.
      TypeError: `path` is no path.
      ImportError: a package that the file needs is not installed.
    """
    place = expand("path", path)
    if place.suffix.lower() in (".npy", ".npz"):
        if not os.path.isfile(place):
            raise FileNotFoundError(f"path={os.fspath(path)!r}: no such file.")
        if levels is not None:
            raise ValueError(f"levels={levels!r}: {place.name} has no named axes.")
        return _read_numpy(place, key), ""
    parts, notes = [], []
    places = _find(place)
    for one in places:
        stored, note = (read_zarr if one.suffix.lower() == ".zarr" else _read_netcdf)(one, key)
        label = f"path={str(one)!r}"
        named = hasattr(stored, "dims")  # an xarray.DataArray
        part = find_label(stored, levels, label) if named else None
        if part is None:
            if len(places) > 1:
                raise ValueError(f"{label}: no axis is time, by which several files are joined.")
            if levels is not None:
                raise ValueError(f"levels={levels!r}: {label} has no axis of levels.")
            return stored, note
        parts.append(part)
        notes.append(note)
    joined = Joined(parts)
    return joined, " ".join(filter(None, (*notes, joined.note)))


def _find(place: Path) -> list[Path]:
    """The files that a path means: itself, those of a folder, or those that match a pattern."""
    kind = place.suffix.lower()
    if os.path.isdir(place) and kind != ".zarr":
        found = sorted(p for p in place.iterdir() if p.suffix.lower() in _NAMED)
        if not found:
            raise FileNotFoundError(f"path={str(place)!r}: no {', '.join(_NAMED)} in this folder.")
        return found
    if glob.has_magic(os.fspath(place)) and not place.exists():
        found = sorted(map(Path, glob.glob(os.fspath(place), recursive=True)))
        if not found:
            raise FileNotFoundError(f"path={str(place)!r}: no file matches this pattern.")
        if other := [path for path in found if path.suffix.lower() not in _NAMED]:
            raise ValueError(f"path={str(place)!r}: expected {', '.join(_NAMED)}; got {other[0]}.")
        return found
    if kind not in _NAMED:
        kinds = ", ".join((".npy", ".npz", *_NAMED[:-1]))
        raise ValueError(
            f"path={str(place)!r}: expected a {kinds} or .zarr file, or a folder of such as have "
            "times."
        )
    if not (os.path.isdir(place) if kind == ".zarr" else os.path.isfile(place)):
        what = "folder" if kind == ".zarr" else "file"
        raise FileNotFoundError(f"path={str(place)!r}: no such {what}.")
    return [place]


def _read_numpy(place: Path, key: str | None) -> Any:
    try:
        if place.suffix.lower() == ".npz":
            members = open_members(place)
            return members[choose(place, key, members)].read()
        array = open_npy(place)
    except KeyChoiceError:
        raise
    except ValueError as error:
        raise ValueError(f"path: {error}") from error
    except OSError as error:
        raise OSError(f"path: {error}") from error
    no_key(place, key)
    return array


def _read_netcdf(place: Path, key: str | None) -> tuple[Any, str]:
    variables = open_variables(place)
    name = choose(place, key, variables)
    note, variable = check_variable(place, name), variables[name]
    mapping = variable.attrs.get("grid_mapping")  # a scalar whose attributes describe a projection
    if mapping in variables and not variables[mapping].ndim:
        variable = variable.assign_coords({mapping: variables[mapping]})
    return variable, note
