"""The base of the TFDS builders: how their records become a `VideoDataset`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow_datasets as tfds

from pdr_datasets.dataset import Source
from pdr_datasets.records import Records
from pdr_datasets.writer import write_split


class VideoBuilder(tfds.core.GeneratorBasedBuilder):
    """A builder of clips; its `builder_config` is a `VideoConfig`.

    Attributes:
      TAKES_URL: whether the builder can read its files from a URL.
      url: that URL, or "" to read from the manual directory.
      TAKES_PLACES: whether the builder finds its files itself, in `place`, and can leave out broken
        ones; then it has a method `check_place` that refuses another place than that of a build.
      place: what the user gave as manual directory: a folder, a pattern, a list.
      skip_broken: whether broken files are left out, or refused.
      report: called with (records done, records in all) while building.
    """

    TAKES_URL = False
    url: str = ""
    TAKES_PLACES = False
    place: Any = None
    skip_broken: bool = False
    report: Callable[[int, int], None] = staticmethod(lambda done, total: None)

    def sources(self) -> Mapping[str, Source]:
        """The clips of every split, `builder_config.length` frames each; by default the records."""
        return {name: Records(self, name) for name in self.info.splits}

    def overlap(self) -> int:
        """`VideoDataset.overlap`; by default 0: no two clips share frames."""
        return 0

    def scaling(self) -> dict[str, Any]:
        """The fields units, data_range and scoring of `VideoDataset`; {} for those of uint8."""
        return {}

    def remarks(self) -> dict[str, Any]:
        """The fields note, reading and clip_name of `VideoDataset`; by default the stored note."""
        return {"note": (self.info.metadata or {}).get("note", "")}

    def dataset_info_from_configs(self, **kwargs: Any) -> tfds.core.DatasetInfo:
        """Overrides TFDS's: without its look for a published info, which leaves a folder behind."""
        info = super().dataset_info_from_configs(**kwargs)
        info.initialize_from_bucket = lambda: None
        return info

    def _generate_splits(self, dl_manager: Any, download_config: Any) -> Sequence[Any]:
        """Overrides TFDS's: streams the records to disk, one split after another."""
        del download_config
        return [
            write_split(examples, self.info.features, self._get_filename_template(name))
            for name, examples in self._split_generators(dl_manager).items()
        ]
