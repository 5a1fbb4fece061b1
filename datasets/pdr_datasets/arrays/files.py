"""Opens .npy (memory-mapped), .npz (read whole) and .zarr (read as needed)."""

import os
from pathlib import Path
from typing import Any

import numpy as np


def read_array(path: str | os.PathLike[str], key: str | None) -> Any:
    """Opens the array in a file; slices along its first axis are read as needed (.npz: whole).

    Args:
      path: .npy, .npz or .zarr.
      key: the array's name where the file holds several; not needed if only one of them has 3 to
        5 axes.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: the file is broken or of another kind, or `key` does not name one array.
      ImportError: the file is .zarr, and the package zarr is not installed.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise FileNotFoundError(f"path={os.fspath(path)!r}: no such file.")
    if path.suffix not in (".npy", ".npz", ".zarr"):
        raise ValueError(f"path={os.fspath(path)!r}: expected a .npy, .npz or .zarr file.")
    if path.suffix == ".zarr":
        return _read_zarr(path, key)
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                return _choose(path, key, {name: archive[name] for name in archive.files})
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        if isinstance(error, _KeyChoiceError):
            raise
        raise ValueError(f"path={os.fspath(path)!r} cannot be read as NumPy's: {error}") from error
    _no_key(path, key)
    return array


def _read_zarr(path: Path, key: str | None) -> Any:
    try:
        import zarr
    except ImportError as error:
        raise ImportError(
            f"path={os.fspath(path)!r} needs the package zarr: pip install pdr-jax[data]"
        ) from error
    node = zarr.open(path, mode="r")
    if isinstance(node, zarr.Group):
        return _choose(path, key, dict(node.arrays()))
    _no_key(path, key)
    return node


class _KeyChoiceError(ValueError):
    """The key does not name one array."""


def _choose(path: Path, key: str | None, arrays: dict[str, Any]) -> Any:
    there = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
    if key is not None:
        if key not in arrays:
            raise _KeyChoiceError(f"key={key!r}: {path.name} holds {there}.")
        return arrays[key]
    candidates = [name for name, array in arrays.items() if array.ndim in (3, 4, 5)]
    if len(candidates) != 1:
        raise _KeyChoiceError(f"{path.name} holds {there}. Say which to use with key=.")
    return arrays[candidates[0]]


def _no_key(path: Path, key: str | None) -> None:
    if key is not None:
        raise ValueError(f"key={key!r}: {path.name} holds a single array; leave key out.")
