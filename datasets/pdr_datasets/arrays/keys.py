"""Which of a file's arrays is meant."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any


class KeyChoiceError(ValueError):
    """The key does not name one array."""


def choose(path: Path, key: Any, arrays: Mapping[str, Any]) -> str:
    """The key, or without one the name of the only array with 3 to 5 axes.

    Raises:
      KeyChoiceError: there is no such array, or none or several could be meant.
    """
    if not arrays:
        raise KeyChoiceError(f"path={str(path)!r} holds no arrays.")
    there = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
    if key is not None:
        if key not in arrays:
            raise KeyChoiceError(f"key={key!r}: {path.name} holds {there}.")
        return key
    candidates = [name for name, array in arrays.items() if array.ndim in (3, 4, 5)]
    if len(candidates) != 1:
        raise KeyChoiceError(f"key=None: {path.name} holds {there}. Say which to use with key=.")
    return candidates[0]


def no_key(path: Path, key: str | None) -> None:
    """Raises KeyChoiceError if there is a key: the file holds one array, which has no name."""
    if key is not None:
        raise KeyChoiceError(f"key={key!r}: {path.name} holds a single array; leave key out.")
