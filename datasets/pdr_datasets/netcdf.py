"""Opens NetCDF, HDF5 and labelled Zarr through xarray, without trusting what they claim."""

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pdr_datasets.bounds import ClaimError, check_claim

# As xarray, h5netcdf, h5py, SciPy and Zarr say that a file is damaged; MemoryError: coordinates
# that claim to be huge.
BROKEN = (
    OSError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    AssertionError,
    RuntimeError,
    OverflowError,
    MemoryError,
)
SUFFIXES = (".nc", ".nc4", ".h5", ".hdf5")
# Numbers are decoded as they are read (arrays/packed.py), times by arrays/times.py.
RAW = {"mask_and_scale": False, "decode_times": False, "decode_timedelta": False}


class MissingChunksError(ValueError):
    """Most of an array is not there."""


def open_dataset(path: str | os.PathLike[str], engine: Any, label: str, **options: Any) -> Any:
    """An xarray.Dataset of which nothing but coordinates is read.

    Args:
      path: a file, folder or URL.
      engine: xarray's name of what reads it.
      label: names it in messages.
      **options: of xarray.open_dataset.

    Raises:
      OSError: it cannot be read.
      ImportError: xarray is not installed.
    """
    try:
        import xarray
    except ImportError as error:
        raise ImportError(
            f"{label} needs the packages xarray, h5netcdf and zarr: pip install pdr-jax[data]"
        ) from error
    try:
        # Without chunks=, which needs dask: arrays are read when they are sliced.
        return xarray.open_dataset(path, engine=engine, cache=False, **options)
    except BROKEN as error:
        reason = f"{error}" if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
        raise OSError(f"{label} cannot be read: {reason}") from error


def open_variables(path: Path) -> dict[str, Any]:
    """The variables of a NetCDF or HDF5 file, xarray.DataArrays that are neither read nor decoded.

    Those in groups have names such as "Grid/precipitation".

    Raises:
      OSError: the file is broken or of another kind.
      ValueError: a coordinate claims far more than it holds.
      ImportError: xarray or h5netcdf is not installed.
    """
    label = f"path={str(path)!r}"
    if _is_classic(path):
        return dict(open_dataset(path, "scipy", label, **RAW).data_vars)
    try:
        import h5netcdf  # noqa: F401  (else xarray says that no engine fits)
        import h5py  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"{label} needs the packages xarray, h5netcdf and h5py: pip install pdr-jax[data]"
        ) from error
    groups = {""}
    with _opened(path) as file:
        file.visititems(lambda name, item: _visit(f"{label}: {name!r}", name, item, groups))
    found: dict[str, Any] = {}
    for group in sorted(groups):
        options = {"group": group or None, "phony_dims": "access", **RAW}
        variables = open_dataset(path, "h5netcdf", label, **options).data_vars
        found |= {f"{group}/{name}" if group else str(name): v for name, v in variables.items()}
    return found


def check_variable(path: Path, name: str) -> str:
    """Checks a variable of a file that `open_variables` has opened.

    Returns:
      A note on chunks that were never written, or "".

    Raises:
      ValueError: it claims far more than it holds, or lacks most of its chunks.
    """
    if _is_classic(path):
        return ""
    with _opened(path) as file:
        item, label = file[name], f"path={str(path)!r}: {name!r}"
        _check(label, item)
        if item.chunks is None:
            return ""
        sizes = zip(item.shape, item.chunks, strict=True)
        wanted = math.prod(-(-whole // part) for whole, part in sizes)
        return describe_missing(label, item.id.get_num_chunks(), wanted, item.shape, item.fillvalue)


def describe_missing(label: str, found: int, wanted: int, shape: tuple[int, ...], fill: Any) -> str:
    """A note on chunks that are not there, which are read as the fill value; "" if all are.

    Args:
      label: names the array in messages.
      found: how many chunks are there.
      wanted: how many should be.
      shape: of the array.
      fill: the fill value.

    Raises:
      MissingChunksError: less than half are there.
    """
    if 2 * found < wanted:
        raise MissingChunksError(
            f"{label} holds {found} of the {wanted} chunks of {shape}: expected at least half; "
            "others would be read as the fill value. Copy it again or, if the others are left out "
            "because they hold this value, save it as .npy."
        )
    if found >= wanted:
        return ""
    missing = f"{wanted - found} of {wanted} chunks of {label} are missing"
    return f"{missing}: read as its fill value, {fill}."


def _is_classic(path: Path) -> bool:
    """Whether a file has the format of NetCDF 3."""
    with path.open("rb") as file:
        return file.read(3) == b"CDF"


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    import h5py

    try:
        with h5py.File(path) as file:
            yield file
    except (ClaimError, MissingChunksError):
        raise
    except BROKEN as error:
        raise OSError(f"path={str(path)!r} cannot be read as NetCDF or HDF5: {error}") from error


def _visit(label: str, name: str, item: Any, groups: set[str]) -> None:
    """Notes the groups of arrays that may be videos; refuses coordinates that claim too much."""
    shape = getattr(item, "shape", None)
    if shape is None:
        return
    if len(shape) <= 2:  # xarray reads these when it opens the file
        _check(label, item)
    elif item.dtype.kind in "iufb":
        groups.add(name.rpartition("/")[0])


def _check(label: str, item: Any) -> None:
    check_claim(label, item.dtype.itemsize * math.prod(item.shape), item.id.get_storage_size())
