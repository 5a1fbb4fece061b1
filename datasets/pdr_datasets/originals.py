"""Of which files a build was made, so that a later look at other files is noticed."""

import json
import os
from collections.abc import Iterable
from pathlib import Path

from pdr_datasets.places import expand

_FILE = "made_of.json"  # in the folder of the build
_LISTED = 8  # names in a sentence
Listing = dict[str, list[int]]


def name_some(names: Iterable[str]) -> str:
    """The first names, and how many more there are."""
    names = list(names)
    more = [f"and {len(names) - _LISTED} more"] if len(names) > _LISTED else []
    return "; ".join([*names[:_LISTED], *more])


def listing(folder: Path) -> Listing:
    """Number of files, and bytes in all, of each file and folder that lies in a folder.

    Names that begin with a dot are left out.
    """
    found: Listing = {}
    for entry in sorted(folder.iterdir()):
        if not entry.name.startswith("."):
            files = _files(entry) if entry.is_dir() else [entry]
            sizes = [file.stat().st_size for file in files if file.is_file()]
            found[entry.name] = [len(sizes), sum(sizes)]
    return found


def record(build: Path, found: Listing) -> None:
    """Keeps a listing beside the build that was made of it."""
    (build / _FILE).write_text(json.dumps(found, indent=2) + "\n")


def difference(build: Path, place: str | os.PathLike[str]) -> str:
    """What has changed since a build was made, as "1 new (a.avi), 2 changed (b.avi; c.avi)".

    Args:
      build: its folder.
      place: where the files lie now.

    Returns:
      "" if nothing has changed in names and numbers of bytes, or if it cannot be told: `place` is
      no folder, or the build kept no listing.
    """
    folder = expand("manual_dir", place)
    try:
        before: Listing = json.loads((build / _FILE).read_text())
    except (OSError, ValueError):
        return ""
    return compare(before, listing(folder)) if folder.is_dir() else ""


def compare(before: dict[str, list], now: dict[str, list]) -> str:
    """What differs between two listings, in words; "" if nothing does."""
    changed = {
        "new": [name for name in now if name not in before],
        "gone": [name for name in before if name not in now],
        "changed": [name for name, held in now.items() if before.get(name, held) != held],
    }
    return ", ".join(
        f"{len(names)} {how} ({name_some(names)})" for how, names in changed.items() if names
    )


def _files(folder: Path) -> Iterable[Path]:
    return (Path(parent, name) for parent, _, names in os.walk(folder) for name in names)
