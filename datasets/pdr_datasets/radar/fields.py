"""A radar file: the times of its maps, and how they are read."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np

Map = tuple[np.ndarray, str]
"""Values (H, W) float64 and their unit, "dbz" or "rate" (mm/h). NaN is missing; where nothing was
detected there is no rain, -infinity dBZ or 0 mm/h."""


@dataclasses.dataclass(frozen=True)
class FieldFile:
    """A file whose maps have not been read.

    Attributes:
      path: of the file.
      times: of its maps, (n,) datetime64[s], UTC.
      read: returns the map of an index.
    """

    path: Path
    times: np.ndarray
    read: Callable[[int], Map]


def as_rate(values: np.ndarray, unit: str, minutes: float) -> Map:
    """Values in `about.UNITS` as a map; "mm" fell in so many minutes."""
    if unit == "dBZ":
        return values, "dbz"
    return (values * 60 / minutes if unit == "mm" else values), "rate"
