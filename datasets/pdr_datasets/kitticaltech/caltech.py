"""Caltech Pedestrian's videos: reads .seq files, and shrinks their frames as OpenSTL does."""

import functools
import io
import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pdr_datasets.resize import resize_bilinear

VIDEO = (480, 640)  # rows and columns
SIZE = (128, 160)
EVERY = 3  # of 30 frames a second
_TEST_SETS = re.compile(r"set(0[6-9]|10)")
_HEADER = 1024  # bytes
_JPEG = (102, 201)  # the formats of images that are JPEG
_TIME = 8  # bytes after an image; in some files, 8 empty ones follow


def find_videos(folder: Path) -> list[Path]:
    """The .seq files of the sets 06 to 10, which are for testing, by set and number.

    Raises:
      ValueError: a video is there twice.
    """
    found: dict[tuple[str, str], Path] = {}
    for path in sorted(folder.rglob("*.seq")):
        sets = [match[0] for match in map(_TEST_SETS.fullmatch, path.parts) if match]
        if sets and found.setdefault((sets[-1], path.name), path) != path:
            raise ValueError(
                f"{sets[-1]}/{path.name} is there twice: {found[sets[-1], path.name]} and {path}. "
                "Keep one."
            )
    return [found[video] for video in sorted(found)]


def read_video(path: Path) -> Iterator[np.ndarray]:
    """Every third frame, from the third on: (128, 160, 3) uint8, blue, green, red.

    As OpenSTL: smoothed and shrunk to 128 rows as by scikit-image's resize, cropped to the middle
    160 of 171 columns, fractions cut.

    Raises:
      OSError: the file is no .seq, truncated, or an image is broken.
      ValueError: frames are not 480 x 640.
      ImportError: the package pillow is not installed.
    """
    height, width = SIZE
    whole = round(VIDEO[1] * height / VIDEO[0])  # columns before cropping
    left = (whole - width) // 2
    rows = shrinking(VIDEO[0], height)
    columns = shrinking(VIDEO[1], whole)[left : left + width]
    for number, image in enumerate(read_seq(path)):
        if number % EVERY == EVERY - 1:
            frame = _decode(image, f"{path}: frame {number}")[..., ::-1].astype(np.float32)
            shrunk = np.tensordot(np.tensordot(rows, frame, 1), columns, (1, 1))
            yield np.clip(np.moveaxis(shrunk, 1, -1), 0, 255).astype(np.uint8)


def read_seq(path: Path) -> Iterator[bytes]:
    """The JPEG images of a Norpix .seq file, as Caltech's are.

    Format: https://github.com/pdollar/toolbox (videos/seqReaderPlugin.m).

    Raises:
      OSError: the file is no .seq of JPEG images, or is truncated.
    """
    with path.open("rb") as file:
        header = file.read(_HEADER)
        magic = header[:4] == b"\xed\xfe\0\0" and len(header) == _HEADER
        if not magic or struct.unpack_from("<I", header, 568)[0] not in _JPEG:
            raise OSError(f"{path} is no .seq file of JPEG images. Fetch it again.")
        (count,) = struct.unpack_from("<I", header, 572)
        size, gap = os.fstat(file.fileno()).st_size, _TIME
        for number in range(count):
            length = int.from_bytes(file.read(4), "little")  # with these four bytes
            if number == 1 and length == 0:
                gap = 2 * _TIME
                file.seek(_TIME - 4, os.SEEK_CUR)
                length = int.from_bytes(file.read(4), "little")
            if length < 4 or file.tell() + length - 4 > size:
                raise OSError(
                    f"{path} is truncated: its header promises {count} frames, {number} can be "
                    "read. Fetch it again."
                )
            yield file.read(length - 4)
            file.seek(gap, os.SEEK_CUR)


@functools.cache
def shrinking(size: int, target: int) -> np.ndarray:
    """(target, size): a row of pixels -> the shrunk row, as scikit-image's resize does by default.

    Gaussian smoothing, with the row mirrored at its ends, then linear interpolation.
    """
    sigma = (size / target - 1) / 2
    steps = np.arange(-int(4 * sigma + 0.5), int(4 * sigma + 0.5) + 1)
    taps = np.exp(-0.5 * (steps / sigma) ** 2)
    pixels = np.arange(size)[:, np.newaxis]
    mirrored = size - 1 - np.abs(size - 1 - np.abs(pixels + steps))
    smooth = np.zeros((size, size))
    np.add.at(smooth, (pixels, mirrored), taps / taps.sum())
    return resize_bilinear(smooth, target, size)


def _decode(image: bytes, label: str) -> np.ndarray:
    """(480, 640, 3) uint8, RGB."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(f"{label} needs the package pillow: pip install pdr-jax[data]") from error
    try:
        with Image.open(io.BytesIO(image), formats=["jpeg"]) as opened:
            frame = np.asarray(opened.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise OSError(f"{label} cannot be read as JPEG: {error}. Fetch it again.") from error
    if frame.shape[:2] != VIDEO:
        raise ValueError(f"{label} is {frame.shape[0]} x {frame.shape[1]}; expected 480 x 640.")
    return frame
