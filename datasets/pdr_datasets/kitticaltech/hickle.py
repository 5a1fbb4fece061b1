"""Reads .hkl files, HDF5 with one Python object, without the package hickle.

Its versions 1 to 5 differ in names and in how they keep texts; none of it needs unpickling.
"""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pdr_datasets.hdf5 import check_array, open_hdf5

_ROOTS = ("data", "data_0")


@contextlib.contextmanager
def open_array(path: Path) -> Iterator[tuple[str, Any]]:
    """Name and h5py.Dataset of the array that the file holds.

    Raises:
      OSError: the file is no HDF5 file, or is truncated.
      ValueError: it holds something else, or less than it claims.
      ImportError: the package h5py is not installed.
    """
    with open_hdf5(path) as file:
        name = _root(path, file)
        check_array(path, name, file[name])
        yield name, file[name]


def read_texts(path: Path) -> list[str]:
    """The list of texts that the file holds.

    Raises:
      As `open_array`.
    """
    with open_hdf5(path) as file:
        name = _root(path, file)
        whole = hasattr(file[name], "dtype")
        if whole:
            check_array(path, name, file[name])
        try:
            if whole:
                return [_text(value) for value in file[name][()].tolist()]
            items = sorted(file[name], key=lambda item: int(re.sub(r"\D", "", item)))
            return [_read_text(file, file[name][item]) for item in items]
        except (TypeError, AttributeError, KeyError, IndexError, ValueError) as error:
            raise ValueError(f"{path}: {name!r} is no list of texts.") from error


def _root(path: Path, file: Any) -> str:
    for name in _ROOTS:
        if name in file:
            return name
    raise ValueError(
        f"{path} holds {', '.join(file) or 'nothing'}: expected {_ROOTS[0]!r} or {_ROOTS[1]!r}, as "
        "hickle writes them."
    )


def _read_text(file: Any, item: Any) -> str:
    """A text of its own: one value, its letters one by one, or where the same text stands."""
    import h5py

    values = np.ravel(item[()]).tolist()
    if isinstance(values[0], h5py.Reference):
        return _read_text(file, file[values[0]])
    return "".join(_text(value) for value in values)


def _text(value: Any) -> str:
    if not isinstance(value, bytes | str):
        raise TypeError(f"{value!r} is no text")
    return value.decode("utf-8") if isinstance(value, bytes) else value
