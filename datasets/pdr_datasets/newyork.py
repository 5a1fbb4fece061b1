"""What the flows of New York share: ST-ResNet's grid of 16 x 8 cells, one frame an hour."""

import dataclasses
import re
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from pdr_datasets.config import VideoConfig
from pdr_datasets.flows import FlowBuilder

SLOTS = 24  # a day
HEIGHT, WIDTH = 16, 8


@dataclasses.dataclass(eq=False, kw_only=True)
class NewYorkConfig(VideoConfig):
    """One variant, named by its options.

    Attributes:
      in_length: frames given; one an hour.
      out_length: frames to predict.
    """

    PATTERN: ClassVar = re.compile(rf"{HEIGHT}x{WIDTH}_(?P<in_length>\d+)to(?P<out_length>\d+)")
    in_length: int = 4
    out_length: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        self.name = f"{HEIGHT}x{WIDTH}_{self.in_length}to{self.out_length}"


class NewYorkBuilder(FlowBuilder):
    """One float32 record (16, 8, 2) a frame; windows are cut when reading."""

    def _info(self) -> tfds.core.DatasetInfo:
        frames = tfds.features.Tensor(shape=(HEIGHT, WIDTH, 2), dtype=np.float32, encoding="bytes")
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict({"frames": frames}),
            disable_shuffling=True,  # on disk in the order of time
            metadata=tfds.core.MetadataDict(),
        )
