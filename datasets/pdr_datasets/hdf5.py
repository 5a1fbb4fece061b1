"""Opens HDF5 files through h5py, without trusting what they claim."""

from pathlib import Path
from typing import Any

import numpy as np

from pdr_datasets.bounds import check_claim


def open_hdf5(path: Path) -> Any:
    """An h5py.File, for reading.

    Raises:
      OSError: the file is no HDF5 file, or is truncated.
      ImportError: the package h5py is not installed.
    """
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


def check_array(path: Path, name: str, data: Any) -> None:
    """Raises ValueError unless `data` is an array, and one that holds about what it claims."""
    if not hasattr(data, "dtype"):
        raise ValueError(f"{path}: {name!r} is a group: expected an array.")
    check_claim(f"{path}: {name!r}", data.nbytes, data.id.get_storage_size())


def read_block(path: Path, name: str, data: Any, start: int, stop: int) -> np.ndarray:
    """Entries start ... stop - 1 of an array's first axis.

    Raises:
      OSError: they are damaged.
    """
    try:
        return data[start:stop]
    except OSError as error:
        raise OSError(
            f"{path}: {name!r} cannot be read from entry {start}: {error}. Fetch it again."
        ) from error
