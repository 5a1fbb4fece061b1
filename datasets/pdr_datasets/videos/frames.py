"""Reads any video as frames of one size and one number of channels."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from pdr_datasets.videos import containers, images
from pdr_datasets.videos.broken import BrokenVideoError
from pdr_datasets.videos.images import WHITE

Channels = Literal["rgb", "grey"]
CHANNELS: tuple[str, ...] = get_args(Channels)


def read_frames(path: Path, every: int = 1, white: int = WHITE) -> Iterator[np.ndarray]:
    """The frames 0, every, 2 every ... of a video in its own size, one at a time.

    Args:
      path: a file with a suffix in `find.FILES`, or a folder of frames.
      every: of how many frames one is taken.
      white: see `images.decode_folder`.

    Returns:
      Frames (H, W, 3) uint8, RGB; or (H, W), of a folder of grey frames.

    Raises:
      BrokenVideoError: the video cannot be read to its end.
      ImportError: the package av or pillow is not installed.
    """
    if path.is_dir():
        return images.decode_folder(path, every, white)
    if path.stat().st_size == 0:
        raise BrokenVideoError("is empty")
    if path.suffix.lower() == ".gif":
        return images.decode_gif(path, every)
    return containers.decode(path, every)


def frame_rate(path: Path) -> float:
    """Frames a second of a video that can be read; 0 where it does not say, as in a folder."""
    if path.is_dir():
        return 0.0
    return images.gif_rate(path) if path.suffix.lower() == ".gif" else containers.frame_rate(path)


def fit_frame(frame: np.ndarray, height: int, width: int, channels: str) -> np.ndarray:
    """A frame in the wanted size and channels, (height, width, 3 or 1) uint8.

    Grey is the luma of ITU-R 601, as Pillow's mode L. Frames of another size are stretched to
    (height, width) by Pillow's bilinear filter, which averages over all pixels when shrinking (as
    torchvision does with antialias=True). Frames of that size are left as they are.

    Args:
      frame: (H, W) or (H, W, 3) uint8.
      height: rows of the result.
      width: columns of the result.
      channels: "rgb" or "grey".
    """
    from PIL import Image

    image = Image.fromarray(frame).convert("L" if channels == "grey" else "RGB")
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(image).reshape(height, width, -1)
