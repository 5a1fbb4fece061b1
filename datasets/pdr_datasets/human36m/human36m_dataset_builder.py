"""TFDS builder of Human3.6M: one encoded image a frame; clips are cut when reading."""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds

from pdr_datasets.builder import VideoBuilder
from pdr_datasets.config import VideoConfig
from pdr_datasets.dataset import Source
from pdr_datasets.human36m.images import SIZE, DecodedFrames, read_images
from pdr_datasets.human36m.lists import (
    EXPECTED_FILES,
    PUBLISHED,
    lay_out,
    read_list,
    split_by_subject,
)
from pdr_datasets.manual import find_files
from pdr_datasets.records import Records
from pdr_datasets.series import Windows

PROTOCOLS = ("openstl", "standard")
_NOTES = {
    "openstl": (
        "OpenSTL's split: test clips overlap training clips of the same videos (98.8 % of them in "
        "the full lists). Channels are blue, green, red."
    ),
    "standard": "Not OpenSTL's split: subjects S9 and S11 are for testing. Channels are RGB.",
}


@dataclasses.dataclass(eq=False, kw_only=True)
class Config(VideoConfig):
    """One variant, named by its options.

    Attributes:
      in_length: frames given.
      out_length: frames to predict.
      protocol: "openstl": split by its lists, channels in the order BGR; "standard": split by
        person, RGB.
    """

    DATA: ClassVar = "human36m"
    PATTERN: ClassVar = re.compile(
        rf"(?P<in_length>\d+)to(?P<out_length>\d+)_(?P<protocol>{'|'.join(PROTOCOLS)})"
    )
    EXAMPLE: ClassVar = {"protocol": "openstl"}
    in_length: int = 4
    out_length: int = 4
    protocol: str = "standard"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_one_of({"protocol": PROTOCOLS})
        self.name = f"{self.in_length}to{self.out_length}_{self.protocol}"


class Builder(VideoBuilder):
    """Stores the frames that the lists' clips are made of; see README.md."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}  # noqa: RUF012  (as TFDS declares it)
    BUILDER_CONFIGS = [Config(), Config(protocol="openstl")]  # noqa: RUF012
    MANUAL_DOWNLOAD_INSTRUCTIONS = EXPECTED_FILES

    def sources(self) -> Mapping[str, Source]:
        """Clips of neighbouring records; the metadata says where they start."""
        config = self.builder_config
        records = Records(self, "frames", decoders={"frames": tfds.decode.SkipDecoding()})
        frames = DecodedFrames(records, bgr=config.protocol == "openstl")
        offsets = range(config.length)
        return {
            part: Windows(frames, self.info.metadata["starts"][part], offsets)
            for part in ("train", "test")
        }

    def overlap(self) -> int:
        """Clips of a video begin at any of its frames."""
        return self.builder_config.length - 1

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {"frames": tfds.features.Image(shape=(SIZE, SIZE, 3))}
            ),
            disable_shuffling=True,  # the frames of a clip are neighbours on disk
            metadata=tfds.core.MetadataDict(),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[Any]]:
        config = self.builder_config
        names = ("train.txt", "test.txt")
        files = find_files(Path(dl_manager.manual_dir), names, EXPECTED_FILES)
        train, test = (read_list(file) for file in files)
        parts = {"train": train, "test": test}
        if config.protocol == "standard":
            parts = split_by_subject(train + test)
        frames, starts = lay_out(parts, config.length)
        paths = []
        for (prefix, number), line in frames.items():
            paths.append(files[0].parent / f"{prefix}{number:06d}.jpg")
            if not paths[-1].is_file():
                raise FileNotFoundError(f"{paths[-1]} is missing; {line} needs it.")
        notes = [_NOTES[config.protocol]]
        if (len(train), len(test)) != tuple(PUBLISHED.values()):
            notes.append(
                f"The lists have {len(train)} and {len(test)} lines; OpenSTL's have "
                f"{PUBLISHED['train']} and {PUBLISHED['test']}."
            )
        self.info.metadata.update(starts=starts, note=" ".join(notes))
        return {"frames": self._generate_examples(paths)}

    def _generate_examples(self, paths: Sequence[Path]) -> Iterator[tuple[int, dict[str, Any]]]:
        for index, image in enumerate(read_images(paths)):
            yield index, {"frames": image}
            self.report(index + 1, len(paths))
