"""What every data set looks like to a model: splits of clips, and their units."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol, SupportsIndex

import numpy as np

from pdr_datasets.units import Units


class Source(Protocol):
    """Random access to the samples of one split (Grain's protocol; a list of samples is one).

    A sample is a dict of "frames", (in_length + out_length, H, W, C) uint8 or float32, and "id",
    an np.int64 that is unique within the split.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, index: SupportsIndex, /) -> Mapping[str, Any]: ...


@dataclasses.dataclass(frozen=True)
class Scoring:
    """How metrics are computed on a data set.

    Attributes:
      units: what errors are measured in: "model" units, or "stored" ones (kelvin, say).
      spatial_norm: whether mse and mae are averaged over H, W, C, as OpenSTL does for some data
        sets, or summed.
      groups: names of the variables, if each has its own metrics: C is divided evenly among them.
      latitudes: of the H rows, in degrees, if frames are maps; else ().
      climatology: (H, W, C) in stored units, the mean that anomalies are taken from; or None.
      thresholds: in stored units, from which on a value is an event, such as heavy rain; or ().
    """

    units: Literal["model", "stored"] = "model"
    spatial_norm: bool = False
    groups: tuple[str, ...] = ()
    latitudes: tuple[float, ...] = ()
    climatology: np.ndarray | None = None
    thresholds: tuple[float, ...] = ()


@dataclasses.dataclass(frozen=True)
class VideoDataset:
    """Clips of a data set, split into parts.

    Attributes:
      name: the data set's name, as in `pdr_datasets.names()`.
      config: the configuration's name, e.g. "64x64_10to20".
      splits: "train", "test" and, for some data sets, "val"; empty splits are left out.
      in_length: frames given to the model, T.
      out_length: frames to predict, T'; the frames in_length ... in_length + out_length - 1.
      frame_shape: (H, W, C).
      units: how stored values become model units.
      data_range: (low, high) in model units: (0, 1) for uint8 frames, else the extremes of the
        training part.
      fill: None where no pixel can be missing. Else NaN marks what is, in stored frames or (see
        `Units.missing`) in those in model units; and this number, in model units, is what a model
        sees in its place.
      scoring: how metrics are computed.
      overlap: a clip may share frames with this many clips before it, in a split's order.
      note: what a reader of a result must know (a partial copy, a split that is not the
        benchmark's), or "".
      reading: how data of no fixed form were read, as "read as 100 clips of 8 x 32 x 32 x 3 from
        axes NTHWC"; else "".
      clip_name: tells by a clip's id where a person finds it, as "moshe_run.avi, frame 12"; None
        where the id is all there is.
    """

    name: str
    config: str
    splits: Mapping[str, Source]
    in_length: int
    out_length: int
    frame_shape: tuple[int, int, int]
    units: Units = dataclasses.field(default_factory=Units)
    data_range: tuple[float, float] = (0.0, 1.0)
    fill: float | None = None
    scoring: Scoring = Scoring()
    overlap: int = 0
    note: str = ""
    reading: str = ""
    clip_name: Callable[[int], str] | None = None


class FirstFrames:
    """A source that serves only the first frames of every clip, and its id."""

    def __init__(self, source: Source, length: int):
        self._source = source
        self._length = length

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: SupportsIndex) -> dict[str, Any]:
        sample = self._source[index]
        return {"frames": sample["frames"][: self._length], "id": np.int64(sample["id"])}


def check_lengths(in_length: int, out_length: int) -> None:
    """Raises ValueError unless both lengths are whole numbers of at least one frame."""
    for field, value in (("in_length", in_length), ("out_length", out_length)):
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{field}={value!r}: expected a whole number of frames, at least 1.")
