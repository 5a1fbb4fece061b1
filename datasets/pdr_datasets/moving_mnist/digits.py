"""Finds and reads the files of Moving MNIST: MNIST's digits, and the fixed test clips."""

import gzip
import zipfile
from pathlib import Path

import numpy as np

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
      ValueError: the file is broken, or holds something else.
    """
    digits = _read_npz(path) if path.suffix == ".npz" else _read_idx(path)
    if digits.shape[1:] != (DIGIT, DIGIT) or digits.dtype != np.uint8 or len(digits) < 2:
        raise ValueError(
            f"{path} holds {digits.dtype} {digits.shape}; expected uint8 (N, {DIGIT}, {DIGIT}), N "
            "at least 2."
        )
    return digits


def open_test_clips(path: Path, length: int) -> np.ndarray:
    """The fixed test clips, (20, N, 64, 64) uint8, memory-mapped.

    Raises:
      ValueError: the file is broken, holds something else, or its clips are shorter than `length`.
    """
    try:
        clips = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"{path} cannot be read: {error}. Fetch it again.") from error
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
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            for key in ("image", "images"):
                if key in archive:
                    return archive[key]
            there = ", ".join(archive.files)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} cannot be read: {error}. Fetch it again.") from error
    raise ValueError(f"{path} holds {there}; expected 'image' or 'images'.")


def _read_idx(path: Path) -> np.ndarray:
    """Reads idx3: the big-endian numbers 2051, N, rows, columns; then the pixels."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read()
    except (OSError, EOFError) as error:
        raise ValueError(f"{path} cannot be read: {error}. Fetch it again.") from error
    header = np.frombuffer(content[:16], ">u4") if len(content) >= 16 else np.zeros(4, int)
    magic, *shape = (int(value) for value in header)
    if magic != 2051:
        raise ValueError(f"{path} is not an idx file of images (no magic number 2051).")
    if len(content) != 16 + np.prod(shape):
        raise ValueError(
            f"{path} holds {len(content)} bytes; its header of {shape} promises "
            f"{16 + np.prod(shape)}. Fetch it again."
        )
    return np.frombuffer(content, np.uint8, offset=16).reshape(shape)
