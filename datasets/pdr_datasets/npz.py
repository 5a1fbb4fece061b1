"""Reads arrays of an .npz file in blocks rather than whole."""

import contextlib
import dataclasses
import math
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


@dataclasses.dataclass(frozen=True)
class Member:
    """One array of an .npz file, of which only the header has been read."""

    path: Path
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype

    def blocks(self, size: int) -> Iterator[np.ndarray]:
        """The array in order, `size` entries of its first axis at a time.

        Raises:
          OSError: the file is broken.
        """
        with _reading(self.path, self.name) as stream:
            _read_header(stream)
            for start in range(0, self.shape[0], size):
                shape = (min(size, self.shape[0] - start), *self.shape[1:])
                wanted = math.prod(shape) * self.dtype.itemsize
                data = stream.read(wanted)
                if len(data) < wanted:
                    raise OSError(
                        f"{self.path}: {self.name!r} is truncated: it should hold "
                        f"{self.shape[0]} entries, {start} can be read. Fetch it again."
                    )
                yield np.frombuffer(data, self.dtype).reshape(shape)
            stream.read(1)  # zipfile compares the checksum at the end of the stream


def open_member(path: Path, name: str, *, text: bool = False) -> Member:
    """Opens the array of that name.

    Args:
      path: of the file.
      name: of the array.
      text: whether it holds text rather than numbers.

    Raises:
      OSError: the file is no .npz, or broken.
      ValueError: it has no such array, or one that holds something else, or not in C order.
    """
    with _reading(path, name) as stream:
        shape, fortran, dtype = _read_header(stream)
    kinds, expected = ("US", "text") if text else ("fiu", "numbers")
    if dtype.kind not in kinds:
        raise ValueError(f"{path}: {name!r} has dtype {dtype}: expected {expected}.")
    if fortran:
        raise ValueError(
            f"{path}: {name!r} is in Fortran order, which cannot be read in parts. Save it again "
            "from np.ascontiguousarray(array)."
        )
    return Member(path, name, shape, dtype)


def _read_header(stream: Any) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(stream)
    if version not in _HEADERS:
        raise ValueError(f"version {version} of the .npy format")
    return _HEADERS[version](stream)


@contextlib.contextmanager
def _reading(path: Path, name: str) -> Iterator[Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
            if f"{name}.npy" not in members:
                there = ", ".join(member.removesuffix(".npy") for member in members)
                raise _NoMemberError(f"{path} holds no array {name!r}. It holds: {there}.")
            with archive.open(f"{name}.npy") as stream:
                yield stream
    except _NoMemberError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError) as error:
        raise OSError(
            f"{path} cannot be read as .npz, or is truncated: {error}. Fetch it again."
        ) from error


class _NoMemberError(ValueError):
    """The file is sound, but has no such array."""
