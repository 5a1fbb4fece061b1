"""Rows of frames over time, with labels at the left and keys to their colours at the right."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pdr_jax.report import style

_GAP = 2
"""Pixels of the enlarged picture between two frames."""
_KEY = 128
"""The most pixels of the enlarged picture that a key is high."""


@dataclass(frozen=True)
class Key:
    """What the colours of a row mean.

    Attributes:
      picture: (h, w, 3) uint8, all colours; made as high as the frames, but 128 at most.
      top: text beside its upper end.
      bottom: text beside its lower end.
    """

    picture: np.ndarray
    top: str = ""
    bottom: str = ""


@dataclass(frozen=True)
class Row:
    """Frames in a row.

    Attributes:
      label: at the left.
      frames: (n, H, W, 3) uint8; H and W are those of all rows.
      times: n texts, written above a row where they differ from the row above.
      key: at the right.
    """

    label: str
    frames: np.ndarray
    times: Sequence[str]
    key: Key | None = None


def save_rows(path: str | os.PathLike[str], rows: Sequence[Row], title: str | None = None) -> None:
    """Saves the rows below each other as PNG, each pixel enlarged by one whole number.

    Raises:
      ValueError: `path` does not end in .png.
      ImportError: the extra `report` is not installed.
    """
    columns = max(len(row.frames) for row in rows)
    height, width = rows[0].frames.shape[1:3]
    zoom = min(whole_zoom(height, width, columns, 1100), max(1, 160 // height))
    cell_height, cell_width = zoom * height + _GAP, zoom * width + _GAP
    dpi, left, top = 100, 100, 50 if title else 26
    right = 140 if any(row.key for row in rows) else 6
    heads = [i == 0 or rows[i].times != rows[i - 1].times for i in range(len(rows))]
    extra = 20 * (sum(heads) - 1)
    total_width = left + columns * cell_width + right
    total_height = top + len(rows) * cell_height + extra + 6
    figure = style.new_figure(total_width / dpi, total_height / dpi)

    def write(x: float, y: float, text: str, size: int = 8, **options: str) -> None:
        options = {"color": style.INK, **options}
        figure.text(x / total_width, 1 - y / total_height, text, size=size, **options)

    def place(x: int, y: int, picture: np.ndarray) -> None:
        bottom = total_height - y - picture.shape[0]
        figure.figimage(picture, xo=x, yo=bottom, origin="upper", resize=False)

    if title:
        write(left, 9, title, 11, va="top", color="k")
    y = top
    for index, row in enumerate(rows):
        y += 20 if heads[index] and index else 0
        for column, frame in enumerate(row.frames):
            x = left + column * cell_width
            place(x, y, frame.repeat(zoom, 0).repeat(zoom, 1))
            if heads[index]:
                write(x + zoom * width / 2, y - 4, row.times[column], ha="center", va="bottom")
        write(left - 8, y + zoom * height / 2, row.label, 9, ha="right", va="center")
        if row.key is not None:
            x = left + columns * cell_width + 6
            picture = _as_high(row.key.picture, min(zoom * height, _KEY))
            place(x, y, picture)
            x += picture.shape[1] + 5
            write(x, y, row.key.top, ha="left", va="top")
            write(x, y + picture.shape[0], row.key.bottom, ha="left", va="bottom")
        y += cell_height
    with style.writing(path, ".png") as partial:
        figure.savefig(partial, dpi=dpi)


def whole_zoom(height: int, width: int, columns: int, total_width: int) -> int:
    """Screen pixels per pixel of a frame: a whole number, so that all pixels look alike.

    The picture is about `total_width` wide, and a frame at most a third of that high.
    """
    return max(1, min(round(total_width / (width * columns)), total_width // (3 * height)))


def _as_high(picture: np.ndarray, height: int) -> np.ndarray:
    """The picture scaled to `height`, by its nearest pixels."""
    width = max(1, round(height * picture.shape[1] / picture.shape[0]))
    y, x = (
        np.arange(n) * size // n for n, size in zip((height, width), picture.shape, strict=False)
    )
    return picture[y][:, x]
