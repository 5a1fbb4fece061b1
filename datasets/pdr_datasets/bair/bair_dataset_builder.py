"""TFDS builder of BAIR robot pushing: one record a frame; clips are cut at opening."""

import dataclasses
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from pdr_datasets.bair.tfrecords import bytes_features, read_records
from pdr_datasets.config import VideoConfig
from pdr_datasets.recordings import PROTOCOLS, RecordingBuilder

SIZE = 64
CAMERAS = ("aux1", "main")
EXPECTED_FILES = (
    "The folders train and test of softmotion30_44k, with files such as "
    "train/traj_0_to_255.tfrecords: bair_robot_pushing_dataset_v0.tar (32 GB), "
    "http://rail.eecs.berkeley.edu/datasets/"
)


@dataclasses.dataclass(eq=False, kw_only=True)
class Config(VideoConfig):
    """One variant, named by what is stored.

    Attributes:
      camera: "aux1", which all published figures are on, or "main".
      in_length: frames given.
      out_length: frames to predict.
      protocol: "openstl": test clips begin at every frame, as OpenSTL's; "standard": they share no
        frame.
    """

    DATA: ClassVar = "bair"
    AT_OPENING: ClassVar = ("in_length", "out_length", "protocol")
    PATTERN: ClassVar = re.compile(rf"{SIZE}x{SIZE}_(?P<camera>{'|'.join(CAMERAS)})")
    camera: str = "aux1"
    in_length: int = 4
    out_length: int = 12
    protocol: str = "standard"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_one_of({"camera": CAMERAS, "protocol": PROTOCOLS})
        self.name = f"{SIZE}x{SIZE}_{self.camera}"


class Builder(RecordingBuilder):
    """Stores the frames of one camera; see README.md."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}  # noqa: RUF012  (as TFDS declares it)
    MANUAL_DOWNLOAD_INSTRUCTIONS = EXPECTED_FILES
    frame = (SIZE, SIZE, 3)
    PUBLISHED: ClassVar = {"train": 43_264, "test": 256}
    CALLED = "trajectories"

    def stride(self, part: str) -> int:
        """See `Config.protocol`."""
        config = self.builder_config
        return config.length if (part, config.protocol) == ("test", "standard") else 1

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[Any]]:
        parts = {part: _find(Path(dl_manager.manual_dir), part) for part in ("train", "test")}
        done, total = 0, sum(map(len, parts.values()))
        generators = {}
        for part, paths in parts.items():
            generators[part] = self._generate_examples(part, self._trajectories(paths, done, total))
            done += len(paths)
        return generators

    def _trajectories(
        self, paths: Sequence[Path], done: int, total: int
    ) -> Iterator[list[np.ndarray]]:
        for path in paths:
            for number, record in enumerate(read_records(path)):
                yield _frames(record, self.builder_config.camera, f"{path}: record {number}")
            done += 1
            self.report(done, total)


def _find(folder: Path, part: str) -> list[Path]:
    """The part's files, by name."""
    paths = sorted(folder.rglob(f"{part}/*.tfrecords"))
    if not paths:
        raise FileNotFoundError(f"{str(folder)!r} holds no {part}/*.tfrecords.\n{EXPECTED_FILES}")
    if len(places := sorted({str(path.parent) for path in paths})) > 1:
        raise ValueError(f"{part}/*.tfrecords are there twice: {', '.join(places)}. Keep one.")
    return paths


def _frames(record: bytes, camera: str, label: str) -> list[np.ndarray]:
    """The frames (64, 64, 3) uint8 of a trajectory."""
    try:
        features = bytes_features(record)
    except ValueError as error:
        raise ValueError(f"{label}: {error}. Fetch the file again.") from error
    frames: list[np.ndarray] = []
    while image := features.get(name := f"{len(frames)}/image_{camera}/encoded"):
        if len(image) != SIZE * SIZE * 3:
            raise ValueError(
                f"{label}: {name!r} holds {len(image)} bytes: expected {SIZE * SIZE * 3}, an image "
                f"of {SIZE} x {SIZE} x RGB that is not compressed."
            )
        frames.append(np.frombuffer(image, np.uint8).reshape(SIZE, SIZE, 3))
    if not frames:
        there = ", ".join(list(features)[:4]) or "nothing of bytes"
        raise ValueError(f"{label} holds no {name!r}. It holds: {there}.")
    return frames
