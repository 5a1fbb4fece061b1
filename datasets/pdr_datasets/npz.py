"""Reads arrays of an .npz file, whole or in blocks, without trusting their headers."""

import contextlib
import dataclasses
import lzma
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pdr_datasets.bounds import ClaimError, check_claim
from pdr_datasets.npy import read_header

# NotImplementedError: an unknown compression; RuntimeError: an encrypted file.
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    ValueError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
)


@dataclasses.dataclass(frozen=True)
class Member:
    """One array of an .npz file, of which only the header has been read."""

    path: Path
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def read(self) -> np.ndarray:
        """The whole array, in any order.

        Raises:
          OSError: the file is broken.
        """
        with _reading(self.path, self.name) as stream:
            array = np.lib.format.read_array(stream, allow_pickle=False)
            stream.read(1)  # zipfile compares the checksum at the end of the stream
        return array

    def blocks(self, size: int) -> Iterator[np.ndarray]:
        """The array in order, `size` entries of its first axis at a time.

        Raises:
          OSError: the file is broken.
        """
        with _reading(self.path, self.name) as stream:
            read_header(stream)
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


def open_members(path: Path) -> dict[str, Member]:
    """All arrays of a file, by name.

    Raises:
      OSError: the file is no .npz, or broken.
      ClaimError: an array claims far more than the file holds.
    """
    with _archive(path) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist() if name[-4:] == ".npy"]
        return {name: _open(archive, path, name)[0] for name in names}


def open_member(path: Path, name: str, *, text: bool = False) -> Member:
    """Opens the array of that name, to be read in blocks.

    Args:
      path: of the file.
      name: of the array.
      text: whether it holds text rather than numbers.

    Raises:
      OSError: the file is no .npz, or broken.
      ValueError: it has no such array, or one that holds something else, or not in C order, or that
        claims far more than it holds.
    """
    with _archive(path) as archive:
        member, fortran = _open(archive, path, name)
    kinds, expected = ("US", "text") if text else ("fiu", "numbers")
    if member.dtype.kind not in kinds:
        raise ValueError(f"{path}: {name!r} has dtype {member.dtype}: expected {expected}.")
    if fortran:
        raise ValueError(
            f"{path}: {name!r} is in Fortran order, which cannot be read in parts. Save it again "
            "from np.ascontiguousarray(array)."
        )
    return member


def _open(archive: zipfile.ZipFile, path: Path, name: str) -> tuple[Member, bool]:
    """The array of that name, and whether it is in Fortran order."""
    info = _info(archive, path, name)
    with archive.open(info) as stream:
        shape, fortran, dtype = read_header(stream)
    held = min(info.compress_size, path.stat().st_size)
    check_claim(f"{path}: {name!r}", math.prod(shape) * dtype.itemsize, held)
    return Member(path, name, shape, dtype), fortran


def _info(archive: zipfile.ZipFile, path: Path, name: str) -> zipfile.ZipInfo:
    members = archive.namelist()
    if f"{name}.npy" not in members:
        there = ", ".join(member.removesuffix(".npy") for member in members)
        raise _NoMemberError(f"{path} holds no array {name!r}. It holds: {there}.")
    return archive.getinfo(f"{name}.npy")


@contextlib.contextmanager
def _reading(path: Path, name: str) -> Iterator[Any]:
    with _archive(path) as archive, archive.open(_info(archive, path, name)) as stream:
        yield stream


@contextlib.contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (_NoMemberError, ClaimError):
        raise
    except _BROKEN as error:
        raise OSError(
            f"{path} cannot be read as .npz, or is truncated: {error}. Fetch it again."
        ) from error


class _NoMemberError(ValueError):
    """The file is sound, but has no such array."""
