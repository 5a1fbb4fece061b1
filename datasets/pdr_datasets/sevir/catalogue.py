"""Reads SEVIR's CATALOG.csv, and the events of VIL from its HDF5 files."""

import collections
import csv
import dataclasses
import datetime
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pdr_datasets.hdf5 import check_array, open_hdf5, read_block
from pdr_datasets.manual import find_files

CATALOG = "CATALOG.csv"
SIZE = 384  # pixels, both ways; 1 km each
FRAMES = 49  # of an event, 5 minutes apart
# The last moments of the parts "train" and "val", by Earthformer's split.
TRAIN_ENDS = datetime.datetime(2019, 1, 1)
VAL_ENDS = datetime.datetime(2019, 6, 1)
EXPECTED_FILES = (
    f"SEVIR's {CATALOG}, and files of VIL that it names, as "
    "vil/2018/SEVIR_VIL_STORMEVENTS_2018_0101_0630.h5: https://registry.opendata.aws/sevir "
    "(s3://sevir)."
)
_COLUMNS = ("id", "file_name", "file_index", "img_type", "time_utc", "pct_missing")


@dataclasses.dataclass(frozen=True)
class Event:
    """One row of the catalogue.

    Attributes:
      name: its id.
      path: the file.
      index: of its first axis.
      time: of the middle frame, in UTC.
      complete: whether no pixel is missing.
    """

    name: str
    path: Path
    index: int
    time: datetime.datetime
    complete: bool

    @property
    def part(self) -> str:
        """By date: "train", "val" or "test"."""
        if self.time <= TRAIN_ENDS:
            return "train"
        return "val" if self.time <= VAL_ENDS else "test"


def read_catalogue(folder: Path) -> tuple[dict[str, list[Event]], str]:
    """The events of each part in the order of the files, and a note on files that are not there.

    An id that is there twice is left out, as in public code.

    Raises:
      FileNotFoundError: there is no catalogue, or a part has no event.
      ValueError: a row cannot be read, or a file is there twice.
    """
    (path,) = find_files(folder, [CATALOG], EXPECTED_FILES)
    rows = list(_rows(path))
    there: dict[str, Path] = {}
    for file in folder.rglob("*.h5"):
        if there.setdefault(file.name, file) != file:
            raise ValueError(f"{file.name} is there twice: {there[file.name]}, {file}. Keep one.")
    times_named = collections.Counter(row["id"] for _, row in rows)
    parts: dict[str, list[Event]] = {"train": [], "val": [], "test": []}
    missing = set()
    for number, row in rows:
        name = Path(row["file_name"]).name
        if name not in there:
            missing.add(row["file_name"])
        elif times_named[row["id"]] == 1:
            event = _event(row, there[name], f"{path} line {number}")
            parts[event.part].append(event)
    named = ", ".join(sorted(missing)[:4])
    for part, events in parts.items():
        if not events:
            raise FileNotFoundError(
                f"{str(folder)!r} holds no event of the {part} part. Not there of the files that "
                f"{CATALOG} names: {named or 'none'}.\n{EXPECTED_FILES}"
            )
        events.sort(key=lambda event: (str(event.path), event.index))
    note = f"{len(missing)} files of {CATALOG} are not there: {named}." if missing else ""
    return parts, note


def read_events(events: Sequence[Event]) -> Iterator[np.ndarray]:
    """Frames (49, 384, 384, 1) uint8 of each event; 255 stands for missing. One event is read.

    Raises:
      OSError: a file is broken.
      ValueError: it holds something else than the catalogue says.
    """
    for path, group in itertools.groupby(events, key=lambda event: event.path):
        with open_hdf5(path) as file:
            for name in ("vil", "id"):
                if name not in file:
                    raise ValueError(f"{path} holds no {name!r}. It holds: {', '.join(file)}.")
                check_array(path, name, file[name])
            vil = file["vil"]
            if vil.shape[1:] != (SIZE, SIZE, FRAMES) or vil.dtype != np.uint8:
                raise ValueError(
                    f"{path}: 'vil' holds {vil.dtype} {vil.shape}: expected uint8 (N, {SIZE}, "
                    f"{SIZE}, {FRAMES})."
                )
            for event in group:
                stop = event.index + 1
                found = read_block(path, "id", file["id"], event.index, stop)
                name = _text(found[0]) if len(found) else "nothing"
                if name != event.name:
                    raise ValueError(
                        f"{path}: 'id' is {name} at {event.index}: {CATALOG} says {event.name}."
                    )
                (block,) = read_block(path, "vil", vil, event.index, stop)
                yield np.ascontiguousarray(np.moveaxis(block, -1, 0))[..., np.newaxis]


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, row) of the rows of VIL."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            there = reader.fieldnames or ()
            if lacking := [column for column in _COLUMNS if column not in there]:
                raise ValueError(f"it has no column {', '.join(lacking)}")
            for row in reader:
                if row["img_type"] == "vil":
                    yield reader.line_num, row
    except (csv.Error, ValueError) as error:  # UnicodeDecodeError too
        raise ValueError(f"{path} cannot be read: {error}. Fetch it again.") from error


def _event(row: dict[str, str], path: Path, line: str) -> Event:
    try:
        return Event(
            name=row["id"],
            path=path,
            index=int(row["file_index"]),
            time=datetime.datetime.fromisoformat(row["time_utc"]).replace(tzinfo=None),
            complete=float(row["pct_missing"]) == 0,
        )
    except (TypeError, ValueError) as error:
        raise ValueError(f"{line}: {error}. Fetch {CATALOG} again.") from error
