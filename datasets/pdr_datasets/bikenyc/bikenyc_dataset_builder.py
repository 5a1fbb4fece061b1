"""TFDS builder of BikeNYC."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from pdr_datasets.deepst import open_h5, open_npz
from pdr_datasets.flows import whole_days
from pdr_datasets.manual import describe_checksums, find_files
from pdr_datasets.newyork import HEIGHT, SLOTS, WIDTH, NewYorkBuilder, NewYorkConfig

TEST_DAYS = 10
H5_FILE = "NYC14_M16x8_T60_NewEnd.h5"
MD5 = {H5_FILE: "461e58f5e14e33f279164ecc74b748b2"}
EXPECTED_FILES = (
    f"Either ST-ResNet's file {H5_FILE} (data (4392, 2, 16, 8), date), from BikeNYC in "
    "https://github.com/lucktroy/DeepST/tree/master/data\n"
    "Or one file bikenyc*.npz with the hourly counts as flow (T, 2, 16, 8).\n"
    "Put it into the folder manual_dir."
)


class Config(NewYorkConfig):
    """See `NewYorkConfig`."""

    DATA: ClassVar = "bikenyc"


class Builder(NewYorkBuilder):
    """Reads ST-ResNet's file, or a plain .npz; see README.md."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}  # noqa: RUF012  (as TFDS declares it)
    BUILDER_CONFIGS = [Config()]  # noqa: RUF012
    MANUAL_DOWNLOAD_INSTRUCTIONS = EXPECTED_FILES

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[Any]]:
        path = _find_file(Path(dl_manager.manual_dir))
        if path.suffix == ".h5":
            flow = open_h5(path, HEIGHT, WIDTH, SLOTS)
            kept = whole_days(flow.times, SLOTS)
            note = describe_checksums([path], MD5)
        else:
            flow = open_npz(path, HEIGHT, WIDTH)
            kept = np.ones(len(flow.times), bool)
            note = (
                f"From {path.name}: {len(kept)} frames without timestamps, taken for hourly and "
                "gapless (ST-ResNet's file has 4392)."
            )
        self.info.metadata["note"] = note
        return self.series_splits([flow], kept, TEST_DAYS * SLOTS)


def _find_file(folder: Path) -> Path:
    arrays = sorted(path for path in folder.rglob("bikenyc*.npz") if path.is_file())
    if not arrays:
        return find_files(folder, [H5_FILE], EXPECTED_FILES)[0]
    others = [*arrays[1:], *sorted(folder.rglob(H5_FILE))]
    if others:
        raise ValueError(f"{arrays[0]} and {others[0]}: keep the one that is to be used.")
    return arrays[0]
