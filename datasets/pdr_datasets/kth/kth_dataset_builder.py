"""TFDS builder of KTH: one record a window of uint8 frames."""

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from pdr_datasets.builder import VideoBuilder
from pdr_datasets.config import VideoConfig
from pdr_datasets.kth.clips import EXPECTED_FILES, Clip, find_clips, frame_numbers, read_frames
from pdr_datasets.kth.splits import RULES, TRAIN_PERSONS, describe_copy, split_clips
from pdr_datasets.kth.windows import FAST_STRIDE, mcvd_starts, window_starts
from pdr_datasets.resize import resize_bilinear

# A clip, the numbers of its frames, and the positions in these numbers at which windows start.
_Task = tuple[Clip, list[int], list[int]]


@dataclasses.dataclass(eq=False, kw_only=True)
class Config(VideoConfig):
    """One variant, named by its options.

    Attributes:
      size: height and width in pixels; the recordings are 160 x 120.
      in_length: frames given.
      out_length: frames to predict. The windows depend on in_length + out_length.
      split: "person" (the benchmark's), "mcvd" or "subsequence"; see `split_clips`.
    """

    DATA: ClassVar = "kth"
    PATTERN: ClassVar = re.compile(
        r"(?P<size>\d+)x(?P=size)_(?P<in_length>\d+)to(?P<out_length>\d+)"
        r"(?:_(?P<split>subsequence|mcvd)_split)?"
    )
    EXAMPLE: ClassVar = {"split": "subsequence"}
    size: int = 128
    in_length: int = 10
    out_length: int = 20
    split: str = "person"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_whole_numbers({"size": (8, 1024)})
        self.check_one_of({"split": RULES})
        self.name = f"{self.size}x{self.size}_{self.in_length}to{self.out_length}"
        if self.split != "person":
            self.name += f"_{self.split}_split"


class Builder(VideoBuilder):
    """Cuts windows from the clips in a manual directory; see README.md."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}  # noqa: RUF012  (as TFDS declares it)
    BUILDER_CONFIGS = [  # noqa: RUF012
        Config(),
        Config(out_length=40),
        Config(out_length=10),
        Config(size=64),
        Config(size=64, out_length=40),
        Config(size=64, out_length=10),
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = EXPECTED_FILES

    def overlap(self) -> int:
        """Windows of the fast actions begin every few frames."""
        return (self.builder_config.length - 1) // FAST_STRIDE

    def _info(self) -> tfds.core.DatasetInfo:
        config = self.builder_config
        shape = (config.length, config.size, config.size, 1)
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "frames": tfds.features.Tensor(shape=shape, dtype=np.uint8, encoding="bytes"),
                    "id": tfds.features.Scalar(dtype=np.int64),
                    "clip": tfds.features.Text(),
                    "start": tfds.features.Scalar(dtype=np.int64),
                }
            ),
            disable_shuffling=True,  # on disk in the order of their ids
            metadata=tfds.core.MetadataDict(),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[Any]]:
        config = self.builder_config
        found = find_clips(Path(dl_manager.manual_dir))
        mcvd = config.split == "mcvd"
        clips = [(clip, frame_numbers(clip, unlisted=mcvd)) for clip in found]
        length = config.length
        parts = split_clips(config.split, clips)
        tasks: dict[str, list[_Task]] = {
            name: [(c, numbers, window_starts(numbers, length, c.action)) for c, numbers in part]
            for name, part in parts.items()
        }
        if mcvd:
            drawn = mcvd_starts([numbers for _, numbers in parts["test"]], length)
            tasks["test"] = [(*part, s) for part, s in zip(parts["test"], drawn, strict=True)]
        sizes = {name: sum(len(starts) for *_, starts in part) for name, part in tasks.items()}
        for name, size in sizes.items():
            if size == 0:
                raise ValueError(_no_samples(name, config, found))
        self.info.metadata["note"] = describe_copy(config.split, clips)
        total = sum(sizes.values())
        return {
            "train": self._generate_examples(tasks["train"], 0, total),
            "test": self._generate_examples(tasks["test"], sizes["train"], total),
        }

    def _generate_examples(
        self, tasks: list[_Task], done: int, total: int
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        config = self.builder_config
        length = config.length
        index = 0
        for clip, numbers, starts in tasks:
            if not starts:
                continue
            resized = resize_bilinear(read_frames(clip, numbers), config.size, config.size)
            frames = np.rint(resized).astype(np.uint8)[..., np.newaxis]
            for start in starts:
                yield (
                    index,
                    {
                        "frames": frames[start : start + length],
                        "id": index,
                        "clip": clip.name,
                        "start": numbers[start],
                    },
                )
                index += 1
                self.report(done + index, total)


def _no_samples(part: str, config: Config, clips: list[Clip]) -> str:
    persons = ", ".join(f"{p:02d}" for p in sorted({clip.person for clip in clips}))
    length = config.length
    message = (
        f"kth {config.name!r}: no {part} sample of {length} frames. The copy holds "
        f"{len(clips)} clips, of persons {persons}."
    )
    if config.split in TRAIN_PERSONS:
        last = TRAIN_PERSONS[config.split][-1]
        instead = dataclasses.replace(config, split="subsequence").name
        message += (
            f" It trains on persons 01 to {last} and tests on {last + 1} to 25. Add clips, or use "
            f"config {instead!r} (split='subsequence'), which is not the benchmark."
        )
    return message
