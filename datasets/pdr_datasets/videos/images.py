"""Reads GIF files and folders of frames with Pillow."""

import itertools
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pdr_datasets.videos.broken import BrokenVideoError
from pdr_datasets.videos.find import image_files

WHITE = 65535  # the largest value of 16 bits

_DAMAGED = (OSError, SyntaxError, ValueError, EOFError)  # what Pillow raises for broken files
_NUMBER = re.compile(r"(\d+)\D*$")  # the last one in a name


def decode_gif(path: Path, every: int = 1) -> Iterator[np.ndarray]:
    """The frames 0, every, 2 every ... of a GIF, (H, W, 3) uint8, RGB, as they are shown.

    Raises:
      BrokenVideoError: the file is not a GIF, is damaged or cut off.
      ImportError: the package pillow is not installed.
    """
    with _open(path, "is not a GIF that can be opened") as image:
        if not path.read_bytes().rstrip(b"\0").endswith(b";"):
            raise BrokenVideoError("is cut off: it lacks the mark that ends a GIF")
        for number in itertools.count():
            try:
                image.seek(number)
                frame = np.asarray(image.convert("RGB"))
            except EOFError:  # the end
                return
            except _DAMAGED as error:
                raise BrokenVideoError(
                    f"cannot be decoded after frame {number}: {error}"
                ) from error
            if number % every == 0:
                yield frame


def gif_rate(path: Path) -> float:
    """Frames a second, by the time that the first frame is shown; or 0."""
    with _open(path, "is not a GIF that can be opened") as image:
        milliseconds = image.info.get("duration", 0)
    return 1000 / milliseconds if milliseconds else 0.0


def decode_folder(folder: Path, every: int = 1, white: int = WHITE) -> Iterator[np.ndarray]:
    """The frames 0, every, 2 every ... of a folder, (H, W) or (H, W, 3) uint8, by their numbers.

    JPEG files are turned as their EXIF data say.

    Args:
      folder: of images; the last number in a name tells a frame's place.
      every: of how many frames one is taken.
      white: 16-bit values v of grey images become 255 v / white, rounded and at most 255. 16-bit
        colour keeps its high byte.

    Raises:
      BrokenVideoError: numbers do not go up evenly, an image is damaged, has values of another
        kind, several pages, or another size than the first; or it has 16-bit colour and `white` is
        not 65535.
      ImportError: the package pillow is not installed.
    """
    size = None
    for path in in_order(folder)[::every]:
        frame = _read_image(path, white)
        size = size or frame.shape[:2]
        if frame.shape[:2] != size:
            raise BrokenVideoError(
                f"holds frames of {size[0]} x {size[1]}, but {path.name} is {frame.shape[0]} x "
                f"{frame.shape[1]}"
            )
        yield frame


def in_order(folder: Path) -> list[Path]:
    """The images of a folder, by the last number in their names; without numbers, by name.

    Raises:
      BrokenVideoError: the numbers do not go up evenly, so that frames are missing.
    """
    paths = sorted(image_files(folder))
    numbers = [int(match[1]) for path in paths if (match := _NUMBER.search(path.stem))]
    if len(numbers) < len(paths):
        return paths
    numbered = sorted(zip(numbers, paths, strict=True))
    pairs = list(itertools.pairwise(numbered))
    step = min((b - a for (a, _), (b, _) in pairs if b > a), default=1)
    for (before, here), (after, following) in pairs:
        if after - before != step:
            raise BrokenVideoError(
                f"has numbers that do not go up evenly: {following.name} follows {here.name}; "
                "expected no gap and no number twice (number the frames anew if none is missing)"
            )
    return [path for _, path in numbered]


def _read_image(path: Path, white: int) -> np.ndarray:
    """One frame of a folder, see `decode_folder`."""
    from PIL import ImageOps

    with _open(path, f"holds {path.name}, which is not an image") as image:
        try:
            wide = _is_wide(image, path.name, white)
            image = ImageOps.exif_transpose(image)
            if wide:
                values = np.asarray(image).astype(np.float64)
                return np.rint(np.minimum(values * (255 / white), 255)).astype(np.uint8)
            return np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"))
        except BrokenVideoError:
            raise
        except (*_DAMAGED, TypeError, struct.error) as error:  # the last two of TIFF's tags
            raise BrokenVideoError(
                f"holds {path.name}, which cannot be decoded: {error}"
            ) from error


def _is_wide(image: Any, name: str, white: int) -> bool:
    """Whether an image is grey with 16 bits; refuses values that have no reading."""
    if (pages := getattr(image, "n_frames", 1)) > 1:
        raise BrokenVideoError(f"holds {name} with {pages} pages; expected one frame in a file")
    if image.mode.startswith("I;16") or (image.mode, image.format) == ("I", "PNG"):
        return True
    if image.mode in ("F", "I"):
        raise BrokenVideoError(
            f"holds {name} with 32-bit values; expected 8 or 16 bits (the data set arrays takes "
            "other numbers)"
        )
    if white != WHITE and any("16" in str(tile[-1]) for tile in image.tile):
        raise BrokenVideoError(
            f"holds {name} in 16-bit colour, of which the high byte is read, but white={white} is "
            "for grey frames"
        )
    return False


def _open(path: Path, otherwise: str) -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError("videos needs the package pillow: pip install pdr-jax[data]") from error
    try:
        return Image.open(path)
    except (*_DAMAGED, Image.DecompressionBombError) as error:
        reason = str(error).replace(str(path), path.name)
        raise BrokenVideoError(f"{otherwise}: {reason}") from error
