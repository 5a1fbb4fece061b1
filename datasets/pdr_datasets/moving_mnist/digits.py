"""Finds and reads the files of moving images: MNIST's kind of images, and the fixed test clips."""

import dataclasses
import gzip
import math
import operator
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, SupportsIndex

import numpy as np

from pdr_datasets.bounds import check_claim
from pdr_datasets.npy import open_npy
from pdr_datasets.npz import open_members

DIGIT = 28  # pixels, both ways
FRAME = 64
SIZE = 60_000  # images, published
IDX_FILES = ("train-images-idx3-ubyte.gz", "train-images-idx3-ubyte")


@dataclasses.dataclass(frozen=True)
class Files:
    """The files that a data set of moving images is built from.

    Attributes:
      images: what the file of images is, and where it is to be had.
      test: the name of the file of test clips.
      test_source: where that is to be had.
      md5: the published sums, by name.
    """

    images: str
    test: str
    test_source: str
    md5: Mapping[str, str]

    @property
    def expected(self) -> str:
        """What messages about missing files say."""
        return (
            f"{self.images}: {IDX_FILES[0]} (or unpacked), or an .npz of 'image' (N, {DIGIT}, "
            f"{DIGIT}) uint8.\nThe benchmark's test clips, {self.test}: {self.test_source}. "
            "Without it, test clips are drawn from images kept out of training."
        )


MNIST = Files(
    images="MNIST's training digits, http://yann.lecun.com/exdb/mnist/ and its mirrors",
    test="mnist_test_seq.npy",
    test_source="819 MB, http://www.cs.toronto.edu/~nitish/unsupervised_video/",
    md5={
        "mnist_test_seq.npy": "be083ec986bfe91a449d63653c411eb2",
        "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    },
)


def find_digits(folder: Path, expected: str) -> Path:
    """The file of digits under a folder: MNIST's own, or else the only .npz.

    Args:
      folder: the manual directory.
      expected: ends the message about a missing file.

    Raises:
      FileNotFoundError: there is none.
      ValueError: there are several .npz.
    """
    for name in IDX_FILES:
        if found := sorted(folder.rglob(name)):
            return found[0]
    archives = sorted(folder.rglob("*.npz"))
    if not archives:
        raise FileNotFoundError(f"manual_dir={str(folder)!r} holds no digits.\n{expected}")
    if len(archives) > 1:
        names = ", ".join(str(path) for path in archives)
        raise ValueError(f"manual_dir={str(folder)!r} holds several .npz: {names}. Keep one.")
    return archives[0]


def read_digits(path: Path) -> np.ndarray:
    """The digits in a file, (N, 28, 28) uint8.

    Raises:
      OSError: the .npz is broken.
      ValueError: the file is broken, or holds something else.
    """
    digits = _read_npz(path) if path.suffix == ".npz" else _read_idx(path)
    if digits.shape[1:] != (DIGIT, DIGIT) or digits.dtype != np.uint8 or len(digits) < 2:
        raise ValueError(
            f"{path} holds {digits.dtype} {digits.shape}; expected uint8 (N, {DIGIT}, {DIGIT}), N "
            "at least 2."
        )
    if digits.max() <= 1:
        raise ValueError(
            f"{path} holds values from 0 to {digits.max()}; expected 0 to 255. Multiply them by "
            "255."
        )
    return digits


class FixedClips:
    """Source of the fixed test clips, of (20, N, 64, 64) uint8, or whole numbers in float32.

    Args:
      path: the .npy file.
      length: frames in a clip, the first ones of the file's.

    Raises:
      ValueError: the file is broken, holds something else, or its clips are shorter than `length`;
        or, at access, a clip holds other numbers than 0, 1, ... 255.
    """

    def __init__(self, path: Path, length: int):
        clips = open_npy(path)
        known = clips.dtype in (np.uint8, np.float32)
        if clips.ndim != 4 or clips.shape[2:] != (FRAME, FRAME) or not known:
            raise ValueError(
                f"{path} holds {clips.dtype} {clips.shape}; expected uint8 (20, N, {FRAME}, "
                f"{FRAME})."
            )
        if length > len(clips):
            raise ValueError(
                f"in_length + out_length = {length}: the clips of {path.name} have {len(clips)} "
                "frames. Ask for fewer, or move the file away to have test clips drawn."
            )
        self._path, self._clips = path, clips[:length]

    def __len__(self) -> int:
        return self._clips.shape[1]

    def __getitem__(self, index: SupportsIndex) -> dict[str, Any]:
        index = operator.index(index)
        stored = np.asarray(self._clips[:, index, :, :, np.newaxis])
        frames = np.clip(np.nan_to_num(stored), 0, 255).astype(np.uint8)
        if (frames != stored).any():
            raise ValueError(
                f"{self._path}: clip {index} holds {stored[frames != stored][0]}; expected whole "
                "numbers from 0 to 255."
            )
        return {"frames": frames, "id": index}


def _read_npz(path: Path) -> np.ndarray:
    members = open_members(path)
    for key in ("image", "images"):
        if key in members:
            return members[key].read()
    raise ValueError(f"{path} holds {', '.join(members)}; expected 'image' or 'images'.")


def _read_idx(path: Path) -> np.ndarray:
    """Reads idx3: the big-endian numbers 2051, N, rows, columns; then the pixels."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            header = file.read(16)
            numbers = np.frombuffer(header, ">u4") if len(header) == 16 else np.zeros(4, int)
            magic, *shape = (int(value) for value in numbers)
            if magic != 2051:
                raise ValueError(f"{path} is not an idx file of images (no magic number 2051).")
            size = math.prod(shape)
            check_claim(f"{path} (images of {shape})", size, path.stat().st_size)
            content = file.read(size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} cannot be read: {error}. Fetch it again.") from error
    if len(content) != size:
        found = 16 + len(content) if len(content) < size else "more"
        raise ValueError(
            f"{path} holds {found} bytes; its header of {shape} promises {16 + size}. Fetch it "
            "again."
        )
    return np.frombuffer(content, np.uint8).reshape(shape)
