"""Frames stored as encoded images: checked when storing, decoded when reading."""

import io
import itertools
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, SupportsIndex

import numpy as np

from pdr_datasets.resize import resize_bicubic

SIZE = 256
_AT_ONCE = 256  # images in memory while building


def read_images(paths: Iterable[Path]) -> Iterator[bytes]:
    """Encoded 256 x 256 images, in the order of `paths`.

    A file with 256 rows is passed on as it is. An image of another height is resized as OpenSTL
    does it (bicubic), and encoded without loss.

    Raises:
      OSError: an image is missing or cannot be decoded.
      ValueError: an image is 256 pixels high, but not 256 wide.
    """
    remaining = iter(paths)
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        while chunk := list(itertools.islice(remaining, _AT_ONCE)):
            yield from threads.map(_read_image, chunk)


def decode(content: bytes) -> np.ndarray:
    """Decodes an image to (H, W, 3) uint8, RGB."""
    with _pillow().open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"))


class DecodedFrames:
    """Source of {"frames": (256, 256, 3)} from records of encoded images.

    Args:
      records: of {"frames": bytes}.
      bgr: whether the channels are in the order blue, green, red, as in OpenCV.
    """

    def __init__(self, records: Any, *, bgr: bool):
        self._records = records
        self._order = slice(None, None, -1 if bgr else 1)

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: SupportsIndex) -> dict[str, np.ndarray]:
        return {"frames": decode(self._records[index]["frames"])[..., self._order]}


def _read_image(path: Path) -> bytes:
    content = path.read_bytes()
    bomb = _pillow().DecompressionBombError  # more pixels than Pillow trusts
    try:
        image = decode(content)
    except (OSError, SyntaxError, ValueError, bomb) as error:  # what Pillow raises for broken files
        raise OSError(f"{path} cannot be read as an image: {error}. Fetch it again.") from error
    height, width, _ = image.shape
    if height == SIZE:
        if width != SIZE:
            raise ValueError(f"{path} is {height} x {width}; expected {SIZE} x {SIZE}.")
        return content
    resized = resize_bicubic(np.moveaxis(image, -1, 0), SIZE, SIZE)
    rounded = np.clip(np.rint(np.moveaxis(resized, 0, -1)), 0, 255).astype(np.uint8)
    encoded = io.BytesIO()
    _pillow().fromarray(rounded).save(encoded, "png")
    return encoded.getvalue()


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError("human36m needs the package pillow: pip install pdr-jax[data]") from error
    return Image
