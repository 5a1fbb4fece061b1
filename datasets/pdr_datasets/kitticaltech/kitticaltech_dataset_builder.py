"""TFDS builder of KittiCaltech: one record a frame; clips are cut at opening."""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, SupportsIndex

import numpy as np
import tensorflow_datasets as tfds

from pdr_datasets.config import VideoConfig
from pdr_datasets.dataset import Source
from pdr_datasets.kitticaltech.parts import EXPECTED_FILES, FRAME, Part, open_parts
from pdr_datasets.recordings import PROTOCOLS, RecordingBuilder

_NAME = f"{FRAME[0]}x{FRAME[1]}"
_BGR = (
    "As in OpenSTL, channels are red, green, blue in training clips, and blue, green, red in test "
    "clips."
)


@dataclasses.dataclass(eq=False, kw_only=True)
class Config(VideoConfig):
    """The only variant; what differs is chosen at opening.

    Attributes:
      in_length: frames given.
      out_length: frames to predict.
      protocol: "openstl": test clips are blue, green, red, as OpenSTL reads them, and training
        clips red, green, blue; "standard": both are red, green, blue.
    """

    DATA: ClassVar = "kitticaltech"
    AT_OPENING: ClassVar = ("in_length", "out_length", "protocol")
    PATTERN: ClassVar = re.compile(_NAME)
    in_length: int = 10
    out_length: int = 1
    protocol: str = "standard"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_one_of({"protocol": PROTOCOLS})
        self.name = _NAME


class Builder(RecordingBuilder):
    """Stores the frames of the clips; see README.md."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}  # noqa: RUF012  (as TFDS declares it)
    MANUAL_DOWNLOAD_INSTRUCTIONS = EXPECTED_FILES
    frame = FRAME

    def stride(self, part: str) -> int:
        """Clips share no frame."""
        return self.builder_config.length

    def starts(self, part: str) -> list[int]:
        """As in OpenSTL, the last clip of a recording ends with it."""
        length = self.builder_config.length
        return [
            start
            for first, count in self.runs(part)
            for start in range(first + count % length, first + count, length)
        ]

    def sources(self) -> Mapping[str, Source]:
        """Test clips are stored in blue, green, red."""
        clips = dict(super().sources())
        if self.builder_config.protocol == "standard":
            clips["test"] = _Reversed(clips["test"])
        return clips

    def remarks(self) -> dict[str, Any]:
        """Says how channels are ordered where they are not in one order."""
        notes = [super().remarks()["note"]]
        notes += [_BGR] if self.builder_config.protocol == "openstl" else []
        return {"note": " ".join(filter(None, notes))}

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[Any]]:
        parts = open_parts(Path(dl_manager.manual_dir))
        self.info.metadata["note"] = parts["test"].note
        done, total = 0, sum(part.count for part in parts.values())
        generators = {}
        for name, part in parts.items():
            generators[name] = self._generate_examples(name, self._recordings(part, done, total))
            done += part.count
        return generators

    def _recordings(self, part: Part, done: int, total: int) -> Iterator[Iterator[np.ndarray]]:
        for recording in part.recordings():
            yield recording
            done += 1
            self.report(done, total)


class _Reversed:
    """A source with its channels in reverse order."""

    def __init__(self, source: Source):
        self._source = source

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: SupportsIndex) -> dict[str, Any]:
        sample = self._source[index]
        return {**sample, "frames": np.ascontiguousarray(sample["frames"][..., ::-1])}
