"""Opens .npy (memory-mapped), .npz (read whole) and .zarr (read as needed)."""

import math
import os
from pathlib import Path
from typing import Any

from pdr_datasets.bounds import check_claim
from pdr_datasets.npy import open_npy
from pdr_datasets.npz import open_members
from pdr_datasets.places import expand

_METADATA = (".zarray", ".zattrs", ".zgroup", ".zmetadata", "zarr.json")


def read_array(path: str | os.PathLike[str], key: str | None) -> tuple[Any, str]:
    """Opens the array in a file; slices along its first axis are read as needed (.npz: whole).

    What a header claims is compared with what is there before anything is allocated, see
    `pdr_datasets.bounds`.

    Args:
      path: .npy, .npz or .zarr.
      key: the array's name where the file holds several; not needed if only one of them has 3 to
        5 axes.

    Returns:
      The array, and what a user must know of it, or "".

    Raises:
      FileNotFoundError: there is no such file.
      OSError: the file is broken.
      ValueError: the file is broken or of another kind, or `key` does not name one array.
      TypeError: `path` is no path.
      ImportError: the file is .zarr, and the package zarr is not installed.
    """
    place = expand("path", path)
    kind = place.suffix.lower()
    if kind not in (".npy", ".npz", ".zarr"):
        raise ValueError(f"path={os.fspath(path)!r}: expected a .npy, .npz or .zarr file.")
    if not (os.path.isdir(place) if kind == ".zarr" else os.path.isfile(place)):
        what = "folder" if kind == ".zarr" else "file"
        raise FileNotFoundError(f"path={os.fspath(path)!r}: no such {what}.")
    if kind == ".zarr":
        return _read_zarr(place, key)
    try:
        if kind == ".npz":
            return _choose(place, key, open_members(place)).read(), ""
        array = open_npy(place)
    except _KeyChoiceError:
        raise
    except ValueError as error:
        raise ValueError(f"path: {error}") from error
    except OSError as error:
        raise OSError(f"path: {error}") from error
    _no_key(place, key)
    return array, ""


def _read_zarr(path: Path, key: str | None) -> tuple[Any, str]:
    try:
        import zarr
    except ImportError as error:
        raise ImportError(
            f"path={str(path)!r} needs the package zarr: pip install pdr-jax[data]"
        ) from error
    try:
        array = zarr.open(path, mode="r")
        if isinstance(array, zarr.Group):
            array = _choose(path, key, dict(array.arrays()))
        else:
            _no_key(path, key)
    except _KeyChoiceError:
        raise
    # As zarr says that metadata are missing, or are not what they should be.
    except (
        OSError,
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        raise ValueError(
            f"path={str(path)!r} cannot be read as Zarr: {type(error).__name__}: {error}"
        ) from error
    return array, check_chunks(array, f"path={str(path / array.path)!r}")


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
    folder = root / array.path
    size = array.dtype.itemsize
    shape = array.shards or array.chunks
    wanted = math.prod(-(-whole // part) for whole, part in zip(array.shape, shape, strict=True))
    found = held = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            if name not in _METADATA:
                found += 1
                held += os.path.getsize(os.path.join(parent, name))
    claimed = size * max(math.prod(array.shape), math.prod(shape))
    check_claim(label, claimed, held)
    if 2 * found < wanted:
        raise ValueError(
            f"{label} holds {found} of the {wanted} chunks of {array.shape}: expected "
            "at least half; others would be read as the fill value. Copy it again or, if the "
            "others are left out because they hold this value, save it as .npy."
        )
    if found >= wanted:
        return ""
    return (
        f"{wanted - found} of {wanted} chunks are not in the Zarr store: read as its fill value, "
        f"{array.fill_value}."
    )


class _KeyChoiceError(ValueError):
    """The key does not name one array."""


def _choose(path: Path, key: Any, arrays: dict[str, Any]) -> Any:
    if not arrays:
        raise _KeyChoiceError(f"path={str(path)!r} holds no arrays.")
    there = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
    if key is not None:
        if key not in arrays:
            raise _KeyChoiceError(f"key={key!r}: {path.name} holds {there}.")
        return arrays[key]
    candidates = [name for name, array in arrays.items() if array.ndim in (3, 4, 5)]
    if len(candidates) != 1:
        raise _KeyChoiceError(f"key=None: {path.name} holds {there}. Say which to use with key=.")
    return arrays[candidates[0]]


def _no_key(path: Path, key: str | None) -> None:
    if key is not None:
        raise _KeyChoiceError(f"key={key!r}: {path.name} holds a single array; leave key out.")
