"""The base of builders of recordings that are stored frame by frame, for clips of any length."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from pdr_datasets.builder import VideoBuilder
from pdr_datasets.dataset import Source
from pdr_datasets.records import Records
from pdr_datasets.series import Windows, window_starts

PROTOCOLS = ("openstl", "standard")


class RecordingBuilder(VideoBuilder):
    """Stores each frame once; clips are cut at opening, and none leaves its recording.

    The metadata hold `runs`: for each part [first frame, frames] of every recording.

    Attributes:
      ENCODING: of a frame on disk, "bytes" or "zlib".
      PUBLISHED: the number of recordings of each part of the whole data set.
      CALLED: what recordings are called where they are counted.
      BUILDER_CONFIGS: none, since lengths and protocols belong to no name.
    """

    ENCODING: ClassVar[str] = "bytes"
    PUBLISHED: ClassVar[Mapping[str, int]] = {}
    CALLED: ClassVar[str] = "recordings"
    BUILDER_CONFIGS: ClassVar[list[Any]] = []

    @property
    def frame(self) -> tuple[int, int, int]:
        """(H, W, C) of the frames, which are uint8."""
        raise NotImplementedError

    def stride(self, part: str) -> int:
        """Frames between the starts of neighbouring clips of a recording."""
        raise NotImplementedError

    def runs(self, part: str) -> list[list[int]]:
        """The recordings of a part that clips are cut from."""
        return self.info.metadata["runs"][part]

    def count(self, part: str) -> int:
        """How many recordings of a part there are, for a comparison with PUBLISHED."""
        return len(self.runs(part))

    def starts(self, part: str) -> list[int]:
        """Positions at which the clips of a part begin, ascending."""
        return window_starts(self.runs(part), self.builder_config.length, self.stride(part))

    def sources(self) -> Mapping[str, Source]:
        """Clips of neighbouring records."""
        config, clips = self.builder_config, {}
        for part in self.info.metadata["runs"]:
            if not (starts := self.starts(part)):
                raise ValueError(
                    f"in_length={config.in_length}, out_length={config.out_length}: no recording "
                    f"of the {part} part has {config.length} frames. Shorten the clips."
                )
            clips[part] = Windows(Records(self, part), starts, range(config.length))
        return clips

    def overlap(self) -> int:
        """Clips for training begin every `stride` frames."""
        return (self.builder_config.length - 1) // self.stride("train")

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
