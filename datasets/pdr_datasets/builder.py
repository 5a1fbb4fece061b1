"""What the TFDS builders share: how their records become a `VideoDataset`."""

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow_datasets as tfds

from pdr_datasets.dataset import Source


class VideoBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """A builder of clips; `builder_config` has in_length and out_length.

    Attributes:
      report: called with (records done, records in all) while building.
    """

    report: Callable[[int, int], None] = staticmethod(lambda done, total: None)

    def sources(self) -> Mapping[str, Source]:
        """The clips of every split, in_length + out_length frames each; by default the records."""
        return {name: self.as_data_source(name) for name in self.info.splits}

    def units(self) -> dict[str, Any]:
        """offset, scale, data_range and scoring of `VideoDataset`; by default those of uint8."""
        return {}
