"""Paths of users, with ~ and where there is no home folder."""

import os
from pathlib import Path


def expand(field: str, path: str | os.PathLike[str]) -> Path:
    """The path, with ~ expanded.

    Args:
      field: what the path is called in messages.
      path: of a file or folder, whether it is there or not.

    Raises:
      TypeError: `path` is no path.
      ValueError: it holds what no path can.
      OSError: it begins with ~, and the home folder is not known.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"{field}={path!r}: expected a path.")
    if "\0" in os.fspath(path):
        raise ValueError(f"{field}={path!r}: a path cannot hold a null character.")
    try:
        return Path(path).expanduser()
    except RuntimeError as error:  # no HOME, and a user without an entry
        raise OSError(
            f"{field}={os.fspath(path)!r}: the home folder is not known (HOME is not set, "
            "or there is no such user). Give the path in full."
        ) from error
