"""TFDS builder of TaxiBJ: OpenSTL's clips, or DeepST's series."""

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
from pdr_datasets.deepst import open_h5
from pdr_datasets.flows import FlowBuilder, whole_days, with_missing
from pdr_datasets.manual import describe_checksums, find_files
from pdr_datasets.taxibj import openstl
from pdr_datasets.units import Units

SLOTS = 48  # a day
TEST_DAYS = 28
SIZE = 32
MD5 = {
    "BJ13_M32x32_T30_InOut.h5": "24cec8a5310d4982ffcee43c7aa3ad70",
    "BJ14_M32x32_T30_InOut.h5": "bfe5144413e950207cad50999b3910ab",
    "BJ15_M32x32_T30_InOut.h5": "70fa80fcb4441f2df18d3dde246dc5fb",
    "BJ16_M32x32_T30_InOut.h5": "6592f29581f0ed5fc930d2c7f40f8e6f",
}
SOURCES = {
    "openstl": (
        f"source='openstl': OpenSTL's {openstl.FILE} (X_train, Y_train, X_test, Y_test), from "
        "https://github.com/chengtan9907/OpenSTL (its releases, or the links in docs/en/install.md)"
    ),
    "deepst": (
        f"source='deepst': DeepST's {', '.join(MD5)} (data and date each), from TaxiBJ in "
        "https://github.com/lucktroy/DeepST/tree/master/data"
    ),
}
EXPECTED_FILES = "\n".join(SOURCES.values()) + "\nPut them into the folder manual_dir."


@dataclasses.dataclass(eq=False, kw_only=True)
class Config(VideoConfig):
    """One variant, named by its options.

    Attributes:
      in_length: frames given; one in 30 minutes.
      out_length: frames to predict.
      source: "openstl": OpenSTL's ready-made clips of 4 + 4 frames; "deepst": the original series.
      missing: of the series, what is done with days that lack time slots: "leave_out", as in
        DeepST, or "mask", which keeps them, with NaN where there is no frame.
    """

    DATA: ClassVar = "taxibj"
    PATTERN: ClassVar = re.compile(
        rf"{SIZE}x{SIZE}_(?P<in_length>\d+)to(?P<out_length>\d+)(?P<deepst>_deepst)?(?P<mask>_mask)?",
    )
    EXAMPLE: ClassVar = {"source": "deepst"}
    in_length: int = 4
    out_length: int = 4
    source: str = "openstl"
    missing: str = "leave_out"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_one_of({"source": SOURCES})
        if self.missing not in ("leave_out", "mask")[: 1 + (self.source == "deepst")]:
            raise ValueError(
                f"taxibj: missing={self.missing!r}: expected 'leave_out' or, with source='deepst', "
                "'mask'."
            )
        if self.source == "openstl" and self.length > 2 * openstl.LENGTH:
            raise ValueError(
                f"taxibj: in_length={self.in_length}, out_length={self.out_length}: OpenSTL's "
                f"{openstl.FILE} holds clips of 4 + 4 frames, not the series they were cut from. "
                "Ask for 8 or fewer in all, or take source='deepst' (the original .h5 files)."
            )
        self.name = f"{SIZE}x{SIZE}_{self.in_length}to{self.out_length}"
        if self.source == "deepst":
            self.name += "_deepst"
        if self.missing == "mask":
            self.name += "_mask"

    @classmethod
    def read(cls, groups: Mapping[str, Any]) -> dict[str, Any]:
        """See `VideoConfig`."""
        return {
            "in_length": int(groups["in_length"]),
            "out_length": int(groups["out_length"]),
            "source": "deepst" if groups["deepst"] else "openstl",
            "missing": "mask" if groups["mask"] else "leave_out",
        }


class Builder(FlowBuilder):
    """Reads dataset.npz, or the four .h5 files; see README.md."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}  # noqa: RUF012  (as TFDS declares it)
    BUILDER_CONFIGS = [Config(), Config(source="deepst")]  # noqa: RUF012
    MANUAL_DOWNLOAD_INSTRUCTIONS = EXPECTED_FILES
    MODEL_RANGE = (-1.0, 1.0)  # of the series, as DeepST scales it

    def _info(self) -> tfds.core.DatasetInfo:
        config = self.builder_config
        shape: tuple[int, ...] = (SIZE, SIZE, 2)
        features: dict[str, Any] = {}
        if config.source == "openstl":
            shape = (config.length, *shape)
            features["id"] = tfds.features.Scalar(dtype=np.int64)
        features["frames"] = tfds.features.Tensor(shape=shape, dtype=np.float32, encoding="bytes")
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(features),
            disable_shuffling=True,  # on disk in the files' order
            metadata=tfds.core.MetadataDict(),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[Any]]:
        folder, source = Path(dl_manager.manual_dir), self.builder_config.source
        if source == "deepst":
            paths = find_files(folder, list(MD5), SOURCES[source])
            flows = [open_h5(path, SIZE, SIZE, SLOTS) for path in paths]
            if self.builder_config.missing == "mask":
                flows = [with_missing(flow, SLOTS) for flow in flows]
            kept = whole_days(np.concatenate([flow.times for flow in flows]), SLOTS)
            self.info.metadata["note"] = describe_checksums(paths, MD5)
            return self.series_splits(flows, kept, TEST_DAYS * SLOTS)
        parts = openstl.open_parts(find_files(folder, [openstl.FILE], SOURCES[source])[0])
        self.info.metadata["note"] = openstl.describe_counts(parts)
        return {name: self._clips(parts, name) for name in parts}

    def _clips(self, parts: Any, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
        config = self.builder_config
        sizes = {part: given.shape[0] for part, (given, _) in parts.items()}
        done = 0 if name == "train" else sizes["train"]
        for index, clip in enumerate(openstl.read_clips(parts[name])):
            yield index, {"frames": clip[: config.length], "id": index}
            self.report(done + index + 1, sum(sizes.values()))

    def sources(self) -> Mapping[str, Source]:
        """The clips as they are, or windows of the series."""
        if self.builder_config.source == "openstl":
            return VideoBuilder.sources(self)
        return super().sources()

    def scaling(self) -> dict[str, Any]:
        """For clips as in OpenSTL: [-1, 1] becomes [0, 1], and errors are measured there."""
        if self.builder_config.source == "openstl":
            return {"units": Units(offset=-1.0, scale=2.0)}
        return super().scaling()
