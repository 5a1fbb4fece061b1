"""Opens Zarr stores; chunks are read as needed."""

import math
import os
from pathlib import Path
from typing import Any

from pdr_datasets.arrays.keys import KeyChoiceError, choose, no_key
from pdr_datasets.bounds import check_claim
from pdr_datasets.netcdf import BROKEN, RAW, describe_missing, open_dataset

_METADATA = (".zarray", ".zattrs", ".zgroup", ".zmetadata", "zarr.json")


def read_zarr(path: Path, key: str | None) -> tuple[Any, str]:
    """The array in a Zarr store, an xarray.DataArray if its axes have names; and a note, or "".

    Raises:
      ValueError: the store is broken, lacks most chunks, or `key` does not name one array.
      OSError: the coordinates cannot be read.
      ImportError: the package zarr, or for names of axes xarray, is not installed.
    """
    try:
        import zarr
    except ImportError as error:
        raise ImportError(
            f"path={str(path)!r} needs the package zarr: pip install pdr-jax[data]"
        ) from error
    arrays = {}
    try:
        array = zarr.open(path, mode="r")
        if isinstance(array, zarr.Group):
            arrays = dict(array.arrays())
            key = choose(path, key, arrays)
            array = arrays[key]
        else:
            no_key(path, key)
    except KeyChoiceError:
        raise
    # As zarr says that metadata are missing, or are not what they should be.
    except (*BROKEN, RecursionError) as error:
        raise ValueError(
            f"path={str(path)!r} cannot be read as Zarr: {type(error).__name__}: {error}"
        ) from error
    note = check_chunks(array, f"path={str(path / array.path)!r}")
    if not arrays or not _dimensions(array):
        return array, note
    for name, other in arrays.items():
        if other.ndim <= 2:  # xarray reads these when it opens the store
            claimed, held, *_ = _chunks(other)
            check_claim(f"path={str(path / name)!r}", claimed, held)
    unnamed = [name for name, other in arrays.items() if other.ndim and not _dimensions(other)]
    options = {"consolidated": False, "drop_variables": unnamed, **RAW}
    return open_dataset(path, "zarr", f"path={str(path)!r}", **options)[key], note


def _dimensions(array: Any) -> Any:
    """Names of the axes, as formats 2 and 3 store them; None if there are none."""
    named = getattr(array.metadata, "dimension_names", None) or ()
    if named and None not in named:
        return named
    return array.attrs.get("_ARRAY_DIMENSIONS") if array.metadata.zarr_format == 2 else None


def check_chunks(array: Any, label: str) -> str:
    """Zarr serves its fill value for chunks that are not there: says how many, refuses many.

    Args:
      array: Zarr's, in a local folder; of others nothing is known, and "" is returned.
      label: names it in messages.

    Raises:
      ValueError: less than half of the chunks are there, or it claims far more than they hold.
    """
    root = getattr(getattr(array, "store", None), "root", None)
    if not isinstance(root, Path):
        return ""
    claimed, held, found, wanted = _chunks(array)
    check_claim(label, claimed, held)
    return describe_missing(label, found, wanted, array.shape, array.fill_value)


def _chunks(array: Any) -> tuple[int, int, int, int]:
    """Bytes claimed, bytes in the folder, chunks in the folder, chunks that should be there."""
    shape = array.shards or array.chunks
    wanted = math.prod(-(-whole // part) for whole, part in zip(array.shape, shape, strict=True))
    found = held = 0
    for parent, _, names in os.walk(array.store.root / array.path):
        for name in names:
            if name not in _METADATA:
                found += 1
                held += os.path.getsize(os.path.join(parent, name))
    claimed = array.dtype.itemsize * max(math.prod(array.shape), math.prod(shape))
    return claimed, held, found, wanted
