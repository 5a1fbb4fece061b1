"""What the TFDS builders share: how their records become a `VideoDataset`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow_datasets as tfds

from pdr_datasets.dataset import Source
from pdr_datasets.writer import write_split


class VideoBuilder(tfds.core.GeneratorBasedBuilder):
    """A builder of clips; `builder_config` has in_length and out_length.

    Attributes:
      report: called with (records done, records in all) while building.
      url: where the files lie, instead of a manual directory, if the builder TAKES_URL.
    """

    TAKES_URL = False
    url: str = ""
    report: Callable[[int, int], None] = staticmethod(lambda done, total: None)

    def sources(self) -> Mapping[str, Source]:
        """The clips of every split, in_length + out_length frames each; by default the records."""
        return {name: self.as_data_source(name) for name in self.info.splits}

    def overlap(self) -> int:
        """See `VideoDataset`; by default no two clips share frames."""
        return 0

    def scaling(self) -> dict[str, Any]:
        """units, data_range and scoring of `VideoDataset`; by default those of uint8."""
        return {}

    def _generate_splits(self, dl_manager: Any, download_config: Any) -> Sequence[Any]:
        """Streams the records to disk, one split after another (overrides TFDS's)."""
        del download_config
        return [
            write_split(examples, self.info.features, self._get_filename_template(name))
            for name, examples in self._split_generators(dl_manager).items()
        ]
