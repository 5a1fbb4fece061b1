"""Times in the names of files."""

import datetime
import re
from pathlib import Path

import numpy as np

_DIGITS = {"Y": 4, "y": 2, "m": 2, "d": 2, "j": 3, "H": 2, "M": 2, "S": 2}
_USUAL = re.compile(r"(?<!\d)(\d{8})[-_T.]?(\d{4})(\d\d)?(?!\d)")


def time_of_name(path: Path, pattern: str) -> np.ndarray:
    """The time that a file name tells, (1,) datetime64[s].

    Args:
      path: of the file.
      pattern: the name, or a part of it: %Y %y %m %d %j %H %M %S as in strftime, ? for any letter
        and * for any text; "" for 8 digits of a date and 4 or 6 of the time.

    Raises:
      ValueError: the name does not fit, or tells no time.
    """
    try:
        if pattern:
            text, form = _match(path.name, pattern)
        elif found := _USUAL.search(path.name):
            text, form = "".join(part or "00" for part in found.groups()), "%Y%m%d%H%M%S"
        else:
            raise ValueError("expected 8 digits of a date and 4 or 6 of the time")
        time = datetime.datetime.strptime(text, form)
    except ValueError as error:
        raise ValueError(
            f"{path}: its name tells no time: {error}. Put another pattern into radar.json, as "
            '{"time": "%Y%m%d%H%M"}.'
        ) from error
    return np.array([time], "datetime64[s]")


def _match(name: str, pattern: str) -> tuple[str, str]:
    """The digits of a time and their format."""
    parts, form = "", ""
    for piece in re.findall(r"%.|[^%]", pattern, re.DOTALL):
        if piece in ("?", "*"):
            parts += ".*"[: 1 + (piece == "*")]
        elif piece[0] != "%":
            parts += re.escape(piece)
        elif piece[1:] in _DIGITS:
            parts += rf"(\d{{{_DIGITS[piece[1]]}}})"
            form += f"{piece} "
        else:
            raise ValueError(f"{piece} in {pattern!r}: expected one of %{' %'.join(_DIGITS)}")
    found = re.search(parts, name)
    if found is None or not form:
        raise ValueError(f"it does not fit {pattern!r}")
    return " ".join(found.groups()), form.strip()
