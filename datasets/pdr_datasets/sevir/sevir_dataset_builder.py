"""TFDS builder of SEVIR's VIL: one record a frame; clips are cut at opening."""

import dataclasses
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from pdr_datasets.config import VideoConfig
from pdr_datasets.dataset import Scoring
from pdr_datasets.recordings import PROTOCOLS, RecordingBuilder
from pdr_datasets.sevir.catalogue import EXPECTED_FILES, SIZE, Event, read_catalogue, read_events
from pdr_datasets.units import Units

MISSING = 255
THRESHOLDS = (16.0, 74.0, 133.0, 160.0, 181.0, 219.0)


@dataclasses.dataclass(frozen=True)
class _Variant:
    """What is stored of an event.

    Attributes:
      every: of how many frames one is taken.
      pool: of how many pixels, both ways, the largest is taken.
      stride: frames between the starts of neighbouring clips.
    """

    every: int
    pool: int
    stride: int


VARIANTS = {"full": _Variant(1, 1, 12), "lr": _Variant(2, 3, 6)}


@dataclasses.dataclass(eq=False, kw_only=True)
class Config(VideoConfig):
    """One variant, named by what is stored.

    Attributes:
      variant: "full": 384 x 384, every 5 minutes; "lr" (SEVIR-LR): 128 x 128, every 10 minutes.
      in_length: frames given.
      out_length: frames to predict.
      protocol: "openstl": events without missing pixels, as in published figures; "standard": all.
    """

    DATA: ClassVar = "sevir"
    AT_OPENING: ClassVar = ("in_length", "out_length", "protocol")
    PATTERN: ClassVar = re.compile(rf"vil_(?P<variant>{'|'.join(VARIANTS)})")
    variant: str = "full"
    in_length: int = 13
    out_length: int = 12
    protocol: str = "standard"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_one_of({"variant": VARIANTS, "protocol": PROTOCOLS})
        self.name = f"vil_{self.variant}"


class Builder(RecordingBuilder):
    """Stores the frames of all events; see README.md.

    The metadata also hold `complete`: for each part whether events have no missing pixel.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}  # noqa: RUF012  (as TFDS declares it)
    MANUAL_DOWNLOAD_INSTRUCTIONS = EXPECTED_FILES
    ENCODING = "zlib"
    PUBLISHED: ClassVar = {"train": 11_906, "val": 3_020, "test": 4_053}
    CALLED = "events without missing pixels"

    @property
    def frame(self) -> tuple[int, int, int]:
        """(H, W, C), by the variant."""
        size = SIZE // self._variant.pool
        return size, size, 1

    def stride(self, part: str) -> int:
        """As Earthformer's."""
        return self._variant.stride

    def runs(self, part: str) -> Sequence[Sequence[int]]:
        """See `Config.protocol`."""
        runs = super().runs(part)
        if self.builder_config.protocol == "standard":
            return runs
        complete = self.info.metadata["complete"][part]
        return [run for run, whole in zip(runs, complete, strict=True) if whole]

    def count(self, part: str) -> int:
        """Without those that miss pixels, under either protocol."""
        return sum(self.info.metadata["complete"][part])

    def scaling(self) -> dict[str, Any]:
        """0 to 254 become 0 to 254 / 255; 255 becomes NaN, and 0 is shown in its place."""
        return {
            "units": Units(missing=MISSING),
            "fill": 0.0,
            "scoring": Scoring(spatial_norm=True, thresholds=THRESHOLDS),
        }

    @property
    def _variant(self) -> _Variant:
        return VARIANTS[self.builder_config.variant]

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[Any]]:
        parts, note = read_catalogue(Path(dl_manager.manual_dir))
        self.info.metadata["note"] = note
        self.info.metadata["complete"] = {
            part: [int(event.complete) for event in events] for part, events in parts.items()
        }
        done, total = 0, sum(map(len, parts.values()))
        generators = {}
        for part, events in parts.items():
            generators[part] = self._generate_examples(part, self._events(events, done, total))
            done += len(events)
        return generators

    def _events(self, events: Sequence[Event], done: int, total: int) -> Iterator[np.ndarray]:
        every, pool = self._variant.every, self._variant.pool
        size = SIZE // pool
        for frames in read_events(events):
            # The largest is 255 where a pixel is missing.
            yield frames[::every].reshape(-1, size, pool, size, pool, 1).max((2, 4))
            done += 1
            self.report(done, total)
