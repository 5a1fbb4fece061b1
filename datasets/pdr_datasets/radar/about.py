"""radar.json: what a folder of radar files does not say itself."""

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

FILE = "radar.json"
UNITS = ("dBZ", "mm/h", "mm")


@dataclasses.dataclass(frozen=True)
class About:
    """The content of radar.json; every field may be left out.

    Attributes:
      time: where file names tell the time (UTC), as "%Y%m%d%H%M" or "AQC%y%j%H%M?_*"; by default
        8 digits of a date and 4 or 6 of the time.
      unit: of the values: "dBZ", "mm/h", or "mm", which fell in `minutes`.
      minutes: see `unit`.
      gain: of images: value = gain * pixel + offset.
      offset: likewise.
      table: of images: the name of a CSV file with the columns pixel and value, instead of gain and
        offset; an empty value is missing.
      missing: of images: pixels that stand for missing values.
      dry: of images: pixels that stand for no rain.
      key: the quantity of an ODIM file, or the variable of a NetCDF file.
    """

    time: str = ""
    unit: str = ""
    minutes: float = 0.0
    gain: float | None = None
    offset: float = 0.0
    table: str = ""
    missing: tuple[int, ...] = ()
    dry: tuple[int, ...] = ()
    key: str = ""


def read_about(folder: Path) -> About:
    """What radar.json says; nothing if the folder has none.

    Raises:
      ValueError: the file is damaged, or a field is unknown or out of range.
    """
    path = folder / FILE
    if not path.is_file():
        return About()
    try:
        found = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}.") from error
    fields = {field.name: field for field in dataclasses.fields(About)}
    if not isinstance(found, dict) or not found.keys() <= fields.keys():
        unknown = sorted(found.keys() - fields.keys()) if isinstance(found, dict) else found
        raise ValueError(f"{path}: {unknown!r}: expected an object with {', '.join(fields)}.")
    values = {name: _checked(path, name, value) for name, value in found.items()}
    about = About(**values)
    if about.unit not in ("", *UNITS):
        raise ValueError(f"{path}: unit={about.unit!r}: expected one of {', '.join(UNITS)}.")
    if about.unit == "mm" and not about.minutes > 0:
        raise ValueError(f"{path}: unit='mm' needs minutes, more than 0, in which it fell.")
    return about


def _checked(path: Path, name: str, value: Any) -> Any:
    if name in ("missing", "dry"):
        values = value if isinstance(value, list) else [value]
        if all(isinstance(v, int) and not isinstance(v, bool) and v >= 0 for v in values):
            return tuple(values)
        raise ValueError(f"{path}: {name}={value!r}: expected pixel values, as [255].")
    numbers = name in ("minutes", "gain", "offset")
    if isinstance(value, bool) or not isinstance(value, (int, float) if numbers else str):
        raise ValueError(f"{path}: {name}={value!r}: expected a {'number' if numbers else 'text'}.")
    return value


def read_table(path: Path) -> dict[int, float]:
    """The value of each pixel in a CSV file with the columns pixel and value; empty is NaN.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: a column is missing, or holds something else than numbers.
    """
    if not path.is_file():
        raise FileNotFoundError(f"table: {path} is missing, which {FILE} names.")
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        if not {"pixel", "value"} <= set(reader.fieldnames or ()):
            raise ValueError(f"{path}: expected the columns pixel and value.")
        found = {}
        for row in reader:
            try:
                found[int(row["pixel"])] = float(row["value"] or "nan")
            except (TypeError, ValueError) as error:
                raise ValueError(f"{path}, line {reader.line_num}: {error}.") from error
    return found
