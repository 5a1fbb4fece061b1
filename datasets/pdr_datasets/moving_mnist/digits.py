"""Finds and reads the files of Moving MNIST: MNIST's digits, and the fixed test clips."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from pdr_datasets.bounds import check_claim
from pdr_datasets.npy import open_npy
from pdr_datasets.npz import open_members

DIGIT = 28  # pixels, both ways
FRAME = 64
TEST_FILE = "mnist_test_seq.npy"
IDX_FILES = ("train-images-idx3-ubyte.gz", "train-images-idx3-ubyte")
EXPECTED_FILES = (
    f"MNIST's training digits, {IDX_FILES[0]} (or unpacked), or an .npz of 'image' (N, 28, 28) "
    "uint8; http://yann.lecun.com/exdb/mnist/ and its mirrors have the first.\n"
    f"The benchmark's test clips, {TEST_FILE} (819 MB): "
    "http://www.cs.toronto.edu/~nitish/unsupervised_video/. Without it, test clips are drawn from "
    "digits kept out of training."
)


def find_digits(folder: Path) -> Path:
    """The file of digits under a folder: MNIST's own, or else the only .npz.

    Raises:
      FileNotFoundError: there is none.
      ValueError: there are several .npz.
    """
    for name in IDX_FILES:
        if found := sorted(folder.rglob(name)):
            return found[0]
    archives = sorted(folder.rglob("*.npz"))
    if not archives:
        raise FileNotFoundError(f"manual_dir={str(folder)!r} holds no digits.\n{EXPECTED_FILES}")
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


def open_test_clips(path: Path, length: int) -> np.ndarray:
    """The fixed test clips, (20, N, 64, 64) uint8, memory-mapped.

    Raises:
      ValueError: the file is broken, holds something else, or its clips are shorter than `length`.
    """
    clips = open_npy(path)
    if clips.ndim != 4 or clips.shape[2:] != (FRAME, FRAME) or clips.dtype != np.uint8:
        raise ValueError(
            f"{path} holds {clips.dtype} {clips.shape}; expected uint8 (20, N, {FRAME}, {FRAME})."
        )
    if length > len(clips):
        raise ValueError(
            f"in_length + out_length = {length}: the clips of {path.name} have {len(clips)} "
            "frames. Ask for fewer, or move the file away to have test clips drawn."
        )
    return clips


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
