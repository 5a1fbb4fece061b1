"""TFDS builder of Moving MNIST: the digits to draw training clips from, and the test clips."""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from pdr_datasets.builder import VideoBuilder
from pdr_datasets.config import VideoConfig
from pdr_datasets.dataset import Source
from pdr_datasets.manual import describe_checksums
from pdr_datasets.moving_mnist.digits import (
    FRAME,
    MNIST,
    SIZE,
    Files,
    FixedClips,
    find_digits,
    read_digits,
)
from pdr_datasets.moving_mnist.motion import MovingDigits
from pdr_datasets.npy import open_npy
from pdr_datasets.records import Records


@dataclasses.dataclass(eq=False, kw_only=True)
class Config(VideoConfig):
    """One variant, named by its options.

    Attributes:
      in_length: frames given.
      out_length: frames to predict.
      num_train: training clips; any number, since they are drawn as they are read.
      num_test: test clips, if they have to be drawn; the fixed file is used whole.
      seed: of all drawn clips.
    """

    DATA: ClassVar = "moving_mnist"
    PATTERN: ClassVar = re.compile(
        r"(?P<in_length>\d+)to(?P<out_length>\d+)_(?P<num_train>\d+)train_(?P<num_test>\d+)test"
        r"_seed(?P<seed>\d+)"
    )
    in_length: int = 10
    out_length: int = 10
    num_train: int = 10_000
    num_test: int = 10_000
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_whole_numbers(
            {"num_train": (1, 10**9), "num_test": (1, 10**9), "seed": (0, 2**32 - 1)}
        )
        self.name = (
            f"{self.in_length}to{self.out_length}_{self.num_train}train_{self.num_test}test"
            f"_seed{self.seed}"
        )


class Builder(VideoBuilder):
    """Keeps the digits as digits.npy beside the records of the test clips; see README.md.

    Attributes:
      FILES: what the data set is built from.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}  # noqa: RUF012  (as TFDS declares it)
    BUILDER_CONFIGS = [Config()]  # noqa: RUF012
    FILES: ClassVar[Files] = MNIST
    MANUAL_DOWNLOAD_INSTRUCTIONS = FILES.expected

    def sources(self) -> Mapping[str, Source]:
        """Training clips, drawn as they are read, and test clips, which are records."""
        digits = open_npy(Path(self.data_dir) / "digits.npy")
        train = self._moving(digits, self.builder_config.num_train, part=0)
        return {"train": train, "test": Records(self, "test")}

    def _info(self) -> tfds.core.DatasetInfo:
        config = self.builder_config
        shape = (config.length, FRAME, FRAME, 1)
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "frames": tfds.features.Tensor(shape=shape, dtype=np.uint8, encoding="bytes"),
                    "id": tfds.features.Scalar(dtype=np.int64),
                }
            ),
            disable_shuffling=True,  # on disk in the order of their ids
            metadata=tfds.core.MetadataDict(),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[Any]]:
        config = self.builder_config
        folder = Path(dl_manager.manual_dir)
        digits_path = find_digits(folder, self.FILES.expected)
        digits = read_digits(digits_path)
        notes = []
        if len(digits) != SIZE:
            notes.append(f"{digits_path.name} holds {len(digits)} images; published are {SIZE}.")
        published = [digits_path]
        if found := sorted(folder.rglob(self.FILES.test)):
            test: Source = FixedClips(found[0], config.length)
            published.append(found[0])
        else:
            held_out = max(len(digits) // 6, 1)
            test = self._moving(digits[-held_out:], config.num_test, part=1)
            digits = digits[:-held_out]
            notes.append(
                f"{self.FILES.test} was not there: the test clips are drawn from {held_out} "
                "images that training does not use. They are not the benchmark's."
            )
        notes.append(describe_checksums(published, self.FILES.md5))
        self.info.metadata["note"] = " ".join(filter(None, notes))
        np.save(self.data_path / "digits.npy", digits)
        return {"test": self._generate_examples(test)}

    def _generate_examples(self, clips: Source) -> Iterator[tuple[int, dict[str, Any]]]:
        for index in range(len(clips)):
            yield index, {**clips[index]}
            self.report(index + 1, len(clips))

    def _moving(self, digits: np.ndarray, size: int, part: int) -> MovingDigits:
        config = self.builder_config
        length = config.length
        return MovingDigits(digits, size, length=length, seed=config.seed, part=part)
