"""Files that the user fetched: finding them by name, and comparing them with the published ones."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path


def find_files(folder: Path, names: Sequence[str], expected: str) -> list[Path]:
    """The files of these names, in the folder or anywhere below it.

    Args:
      folder: the manual directory.
      names: exact names, or patterns such as "taxinyc*.npz".
      expected: ends the message about missing files: which are needed, and where to get them.

    Raises:
      FileNotFoundError: files are missing; the message names them all.
      ValueError: a file is there twice.
    """
    found = {name: sorted(path for path in folder.rglob(name) if path.is_file()) for name in names}
    if missing := [name for name, paths in found.items() if not paths]:
        raise FileNotFoundError(f"{str(folder)!r} does not hold {', '.join(missing)}.\n{expected}")
    for name, paths in found.items():
        if len(paths) > 1:
            raise ValueError(f"{name} is there twice: {paths[0]} and {paths[1]}. Keep one.")
    return [paths[0] for paths in found.values()]


def describe_checksums(paths: Sequence[Path], published: Mapping[str, str]) -> str:
    """Names, in a sentence, the files that differ from the published ones; "" if none does.

    Args:
      paths: the files.
      published: MD5 sums by name; a file without one is not compared.
    """
    other = []
    for path in paths:
        if path.name in published:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
            if digest.hexdigest() != published[path.name]:
                other.append(path.name)
    return f"Not the published file, by its MD5 sum: {', '.join(other)}." if other else ""
