"""TFDS builder of moving_sprites: one record a clip."""

import dataclasses
import re
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from pdr_datasets.builder import VideoBuilder
from pdr_datasets.config import VideoConfig
from pdr_datasets.moving_sprites.scenes import draw_clip


@dataclasses.dataclass(eq=False, kw_only=True)
class Config(VideoConfig):
    """One variant, named by its options.

    Attributes:
      size: height and width in pixels.
      channels: 1 to 3.
      in_length: frames given.
      out_length: frames to predict.
      num_train: clips for training.
      num_test: clips for testing.
      seed: of all clips.
    """

    DATA: ClassVar = "moving_sprites"
    PATTERN: ClassVar = re.compile(
        r"(?P<size>\d+)x(?P=size)x(?P<channels>\d+)_(?P<in_length>\d+)to(?P<out_length>\d+)"
        r"_(?P<num_train>\d+)train_(?P<num_test>\d+)test_seed(?P<seed>\d+)"
    )
    size: int = 32
    channels: int = 1
    in_length: int = 10
    out_length: int = 10
    num_train: int = 512
    num_test: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_whole_numbers(
            {
                "size": (16, 1024),
                "channels": (1, 3),
                "num_train": (1, 10**9),
                "num_test": (1, 10**9),
                "seed": (0, 2**32 - 1),
            }
        )
        self.name = (
            f"{self.size}x{self.size}x{self.channels}_{self.in_length}to{self.out_length}"
            f"_{self.num_train}train_{self.num_test}test_seed{self.seed}"
        )


class Builder(VideoBuilder):
    """Draws the clips; see README.md."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}  # noqa: RUF012  (as TFDS declares it)
    BUILDER_CONFIGS = [Config(), Config(size=64)]  # noqa: RUF012

    def _info(self) -> tfds.core.DatasetInfo:
        config = self.builder_config
        shape = (config.length, config.size, config.size, config.channels)
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "frames": tfds.features.Tensor(shape=shape, dtype=np.uint8, encoding="bytes"),
                    "id": tfds.features.Scalar(dtype=np.int64),
                }
            ),
            disable_shuffling=True,  # on disk in the order of their ids
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[Any]]:
        del dl_manager
        config = self.builder_config
        return {
            "train": self._generate_examples(0, config.num_train, done=0),
            "test": self._generate_examples(1, config.num_test, done=config.num_train),
        }

    def _generate_examples(
        self, split: int, number: int, done: int
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        config = self.builder_config
        length = config.length
        for index in range(number):
            rng = np.random.default_rng([config.seed, split, index])
            frames = draw_clip(rng, length=length, size=config.size, channels=config.channels)
            yield index, {"frames": frames, "id": index}
            self.report(done + index + 1, config.num_train + config.num_test)
