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


def check_variable(path: Path, name: str) -> None:
    """Raises ClaimError if a variable of a file that has been opened claims more than it holds."""
    if not _is_classic(path):
        with _opened(path) as file:
            _check(f"path={str(path)!r}: {name!r}", file[name])


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
    except ClaimError:
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
