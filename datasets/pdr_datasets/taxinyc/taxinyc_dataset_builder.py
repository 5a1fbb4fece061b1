"""TFDS builder of TaxiNYC."""

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from pdr_datasets.deepst import open_npz
from pdr_datasets.manual import find_files
from pdr_datasets.newyork import HEIGHT, SLOTS, WIDTH, NewYorkBuilder, NewYorkConfig

TEST_YEAR = 2013
FILES = "taxinyc*.npz"
EXPECTED_FILES = (
    f"One file {FILES} with the hourly counts of the years 2010 to {TEST_YEAR} as flow "
    f"(T, 2, {HEIGHT}, {WIDTH}), and their hours as time (T,), such as '2010010100'. The data card "
    "says what to make it from: pdr data info taxinyc.\n"
    "Put it into the folder manual_dir."
)


class Config(NewYorkConfig):
    """See `NewYorkConfig`."""

    DATA: ClassVar = "taxinyc"


class Builder(NewYorkBuilder):
    """Reads one .npz with timestamps; see README.md."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}  # noqa: RUF012  (as TFDS declares it)
    BUILDER_CONFIGS = [Config()]  # noqa: RUF012
    MANUAL_DOWNLOAD_INSTRUCTIONS = EXPECTED_FILES

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[Any]]:
        path = find_files(Path(dl_manager.manual_dir), [FILES], EXPECTED_FILES)[0]
        flow = open_npz(path, HEIGHT, WIDTH, SLOTS)
        days = [datetime.date.fromordinal(int(day)) for day in flow.times // SLOTS]
        if not days[0].year < TEST_YEAR <= days[-1].year:
            raise ValueError(
                f"{path}: 'time' runs from {days[0].year} to {days[-1].year}: expected years "
                f"before {TEST_YEAR} for training, and {TEST_YEAR} for testing."
            )
        # The few hours of September that there are hold the ends of August's trips only.
        kept = np.array([day.month != 9 for day in days])
        test_frames = int(kept[[day.year >= TEST_YEAR for day in days]].sum())
        self.info.metadata["note"] = (
            f"From {path.name}: {kept.sum() - test_frames} hours before {TEST_YEAR} for training, "
            f"{test_frames} from {TEST_YEAR} on for testing. This split is ours: no protocol of "
            "video prediction is published for TaxiNYC."
        )
        return self.series_splits([flow], kept, test_frames)
