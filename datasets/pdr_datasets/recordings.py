"""Bases of builders of recordings that are stored frame by frame, for clips of any length."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from pdr_datasets.builder import VideoBuilder
from pdr_datasets.dataset import Source
from pdr_datasets.records import Records
from pdr_datasets.series import Windows, window_starts

PROTOCOLS = ("openstl", "standard")


class FrameBuilder(VideoBuilder):
    """Stores each frame once; clips are cut at opening, and none leaves its recording.

    Attributes:
      RECORDING: what one is called in messages.
      BUILDER_CONFIGS: none, since lengths and strides belong to no name.
    """

    RECORDING: ClassVar[str] = "recording"
    BUILDER_CONFIGS: ClassVar[list[Any]] = []

    def parts(self) -> Sequence[str]:
        """The parts that have recordings."""
        raise NotImplementedError

    def runs(self, part: str) -> Sequence[Sequence[int]]:
        """[first frame, frames] of the recordings of a part that clips are cut from."""
        raise NotImplementedError

    def records(self, part: str) -> str:
        """The name under which the frames of a part are stored."""
        raise NotImplementedError

    def stride(self, part: str) -> int:
        """Frames between the starts of neighbouring clips of a recording."""
        raise NotImplementedError

    def starts(self, part: str) -> list[int]:
        """Positions at which the clips of a part begin, ascending."""
        return window_starts(self.runs(part), self.builder_config.length, self.stride(part))

    def sources(self) -> Mapping[str, Source]:
        """Clips of neighbouring records."""
        config, clips = self.builder_config, {}
        for part in self.parts():
            if not (starts := self.starts(part)):
                raise ValueError(
                    f"in_length={config.in_length}, out_length={config.out_length}: no "
                    f"{self.RECORDING} of the {part} part has {config.length} frames. Shorten the "
                    "clips, or split otherwise."
                )
            frames = Records(self, self.records(part))
            clips[part] = Windows(frames, starts, range(config.length))
        return clips

    def overlap(self) -> int:
        """Clips for training begin every `stride` frames."""
        return (self.builder_config.length - 1) // self.stride("train")


class RecordingBuilder(FrameBuilder):
    """Recordings of uint8 whose parts are stored apart.

    The metadata hold `runs`: for each part [first frame, frames] of every recording.

    Attributes:
      ENCODING: of a frame on disk, "bytes" or "zlib".
      PUBLISHED: the number of recordings of each part of the whole data set.
      CALLED: what recordings are called where they are counted.
    """

    ENCODING: ClassVar[str] = "bytes"
    PUBLISHED: ClassVar[Mapping[str, int]] = {}
    CALLED: ClassVar[str] = "recordings"

    @property
    def frame(self) -> tuple[int, int, int]:
        """(H, W, C) of the frames, which are uint8."""
        raise NotImplementedError

    def parts(self) -> Sequence[str]:
        """Those in the metadata."""
        return list(self.info.metadata["runs"])

    def runs(self, part: str) -> Sequence[Sequence[int]]:
        """Those in the metadata."""
        return self.info.metadata["runs"][part]

    def records(self, part: str) -> str:
        """As the part."""
        return part

    def count(self, part: str) -> int:
        """How many recordings of a part there are, for a comparison with PUBLISHED."""
        return len(self.runs(part))

    def remarks(self) -> dict[str, Any]:
        """A note on numbers of recordings that are not the published ones."""
        notes = [super().remarks()["note"]]
        counts = {part: self.count(part) for part in self.PUBLISHED}
        if counts != self.PUBLISHED:
            found, published = (
                ", ".join(f"{count} {part}" for part, count in numbers.items())
                for numbers in (counts, self.PUBLISHED)
            )
            notes.append(f"Of the {self.CALLED} there are {found}; published are {published}.")
        return {"note": " ".join(filter(None, notes))}

    def _info(self) -> tfds.core.DatasetInfo:
        frame = tfds.features.Tensor(shape=self.frame, dtype=np.uint8, encoding=self.ENCODING)
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict({"frames": frame}),
            disable_shuffling=True,  # the frames of a recording are neighbours on disk
            metadata=tfds.core.MetadataDict(runs={}),
        )

    def _generate_examples(
        self, part: str, recordings: Iterable[Iterable[np.ndarray]]
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """The frames of a part's recordings as records; notes its `runs`."""
        runs = self.info.metadata["runs"].setdefault(part, [])
        index = 0
        for recording in recordings:
            first = index
            for frame in recording:
                yield index, {"frames": frame}
                index += 1
            runs.append([first, index - first])
