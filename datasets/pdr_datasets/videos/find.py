"""Finds videos: in a folder, by a pattern, or as a list or a CSV file names them."""

import csv
import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pdr_datasets.places import expand

FILES = (".avi", ".gif", ".mkv", ".mov", ".mp4", ".webm")
IMAGES = (".jpeg", ".jpg", ".png", ".tif", ".tiff")
PARTS = ("train", "val", "test")
EXPECTED_FILES = (
    f"Give a folder with videos ({', '.join(FILES)}) or with folders of frames "
    f"({', '.join(IMAGES)}), a pattern such as 'clips/*.avi', or a CSV file with the column path "
    "and, for a split of your own, the column part (train, val or test)."
)

Place = str | os.PathLike[str]


class Video(NamedTuple):
    """One video.

    Attributes:
      name: its path below the folder in which all of them lie, with forward slashes.
      path: the file, or the folder of frames.
      part: one of PARTS, where a CSV file gives it; else "".
    """

    name: str
    path: Path
    part: str = ""

    def contents(self) -> tuple[int, int]:
        """Number of files, and bytes in all."""
        files = image_files(self.path) if self.path.is_dir() else [self.path]
        return len(files), sum(file.stat().st_size for file in files)


def find_videos(place: Place | Sequence[Place]) -> list[Video]:
    """All videos of a place, sorted by name.

    Folders are searched with what lies below them. A folder that holds images, and no video beside
    them, is one video. Names that begin with a dot are left out.

    Args:
      place: a folder, a video, a pattern of Python's glob, a CSV file, or a list of folders and
        videos. A CSV file's paths are relative to its own folder.

    Raises:
      FileNotFoundError: there is no video, or one that is named is missing.
      ValueError: a named file is of another kind, or the CSV file is damaged.
    """
    if not isinstance(place, str | os.PathLike):
        return _named([expand("manual_dir", each) for each in place])
    path = expand("manual_dir", place)
    if path.suffix.lower() == ".csv" and path.is_file():
        return _listed(path)
    if path.exists():
        return _named([path])
    if not (matches := glob.glob(str(path), recursive=True)):
        raise FileNotFoundError(f"manual_dir={str(path)!r}: nothing is there.\n{EXPECTED_FILES}")
    return _named(map(Path, matches))


def image_files(folder: Path) -> list[Path]:
    """The images that lie in a folder, in the order of the system."""
    return [path for path in folder.iterdir() if _is(path.name, IMAGES)]


def _named(places: Iterable[Path]) -> list[Video]:
    """The videos in folders, and those that are named themselves."""
    places = list(places)
    found = {path for place in places for path in _below(place)}
    if not found:
        where = ", ".join(repr(str(place)) for place in places[:3]) or "[]"
        raise FileNotFoundError(f"manual_dir={where}: no video is there.\n{EXPECTED_FILES}")
    root = places[0] if len(places) == 1 else Path(os.path.commonpath([p.parent for p in found]))
    names = {p: p.name if p == root else p.relative_to(root).as_posix() for p in found}
    return sorted(Video(name, path) for path, name in names.items())


def _below(place: Path) -> Iterator[Path]:
    if place.is_dir():
        for parent, folders, files in os.walk(place):
            folders[:] = [name for name in folders if not name.startswith(".")]
            if videos := [name for name in files if _is(name, FILES)]:
                yield from (Path(parent, name) for name in videos)
            elif any(_is(name, IMAGES) for name in files):
                yield Path(parent)
    elif not place.is_file():
        raise FileNotFoundError(f"manual_dir: {place} is missing.")
    elif not _is(place.name, FILES):
        raise ValueError(f"manual_dir: {place} is no video; expected one of {', '.join(FILES)}.")
    else:
        yield place


def _listed(path: Path) -> list[Video]:
    """The videos of a CSV file."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows = [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} cannot be read as CSV: {error}.") from error
    if not rows or "path" not in rows[0][1]:
        raise ValueError(f"{path}: expected a first line 'path' or 'path,part', and videos below.")
    videos: dict[str, Video] = {}
    for line, row in rows:
        name, part = (row["path"] or "").strip(), (row.get("part") or "").strip()
        if not name or name in videos:
            raise ValueError(f"{path} line {line}: path={name!r}: expected a video, named once.")
        if "part" in row and part not in PARTS:
            raise ValueError(f"{path} line {line}: part={part!r}: expected {', '.join(PARTS)}.")
        video = Path(path.parent, name)
        if list(_below(video)) != [video]:
            raise ValueError(f"{path} line {line}: {name} is no video and no folder of frames.")
        videos[name] = Video(name, video, part)
    return sorted(videos.values())


def _is(name: str, suffixes: tuple[str, ...]) -> bool:
    return name.lower().endswith(suffixes) and not name.startswith(".")
