"""Radar maps as images: PGM (also gzipped), PNG and GIF, of 8 or 16 bits."""

import gzip
import re
import zlib
from pathlib import Path

import numpy as np

from pdr_datasets.radar.about import FILE, UNITS, About, read_table
from pdr_datasets.radar.fields import FieldFile, Map, as_rate
from pdr_datasets.radar.names import time_of_name

SUFFIXES = (".pgm", ".pgm.gz", ".png", ".gif")
_LARGEST = 2**28  # bytes of a decompressed PGM
_HEADER = re.compile(rb"P5\s(?:\s*#[^\n]*\n)*\s*(\d+)\s+(\d+)\s+(\d+)\s")
_COMMENT = re.compile(r"^\s*#\s*(\S+)\s+(.+?)\s*$", re.MULTILINE)


def open_image(path: Path, folder: Path, about: About) -> FieldFile:
    """A file with one map.

    A PGM of the Finnish Meteorological Institute tells its time and quantity in comments; what
    radar.json says goes before that.

    Raises:
      OSError: the file is damaged.
      ValueError: it has colours, its time or its scale is not known, or a table lacks a pixel.
      ImportError: the package pillow is not installed.
    """
    is_pgm = path.name.endswith((".pgm", ".pgm.gz"))
    told = _comments(path) if is_pgm else {}
    if not about.time and "obstime" in told:
        # A file's name is also that of the product, this is the time.
        time = time_of_name(Path(f"{path}: obstime {told['obstime']}"), "obstime %Y%m%d%H%M")
    else:
        time = time_of_name(path, about.time)

    def read(index: int) -> Map:
        del index
        pixels, white = _read_pgm(path) if is_pgm else _read_image(path)
        if told.get("param", "").endswith("Reflectivity") and not about.unit:
            # As FMI codes reflectivity: dBZ = (pixel - 64) / 2, and the largest pixel is missing.
            known = About(unit="dBZ", gain=0.5, offset=-32.0, missing=(white,))
        else:
            known = about
        table = _lookup(path, folder, known, white)
        values = table[pixels]
        if np.isposinf(values).any():
            unknown = int(pixels[np.isposinf(values)][0])
            raise ValueError(f"{path} holds the pixel {unknown}, which {about.table} has not.")
        return as_rate(values, known.unit, known.minutes)

    return FieldFile(path, time, read)


def _lookup(path: Path, folder: Path, about: About, white: int) -> np.ndarray:
    """The value of each pixel 0 ... white; infinity where a table has none."""
    if about.unit not in UNITS or (about.gain is None) == (not about.table):
        raise ValueError(
            f"{path}: its values are not known: expected {FILE} in {folder}, with unit "
            f"({', '.join(UNITS)}) and either gain and offset or a table."
        )
    values = np.full(white + 1, np.inf)
    if about.gain is not None:
        values = about.gain * np.arange(white + 1.0) + about.offset
    else:
        for pixel, value in read_table(folder / about.table).items():
            if 0 <= pixel <= white:
                values[pixel] = value
    for pixels, value in (
        (about.dry, -np.inf if about.unit == "dBZ" else 0.0),
        (about.missing, np.nan),
    ):
        values[[pixel for pixel in pixels if pixel <= white]] = value
    return values


def _bytes_of(path: Path, count: int) -> bytes:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return file.read(count)
    except (OSError, EOFError, zlib.error) as error:
        raise OSError(f"{path} cannot be read: {error}") from error


def _comments(path: Path) -> dict[str, str]:
    """The comments of a PGM's header, as {"obstime": "201609281445"}."""
    header = _HEADER.match(_bytes_of(path, 2**16))
    text = header[0].decode("latin-1") if header else ""
    return {found[1]: found[2] for found in _COMMENT.finditer(text)}


def _read_pgm(path: Path) -> tuple[np.ndarray, int]:
    content = _bytes_of(path, _LARGEST)
    header = _HEADER.match(content)
    if header is None:
        raise OSError(f"{path} is no binary PGM (P5).")
    width, height, white = map(int, header.groups())
    if not 0 < white < 2**16:
        raise OSError(f"{path}: its largest value is {white}: expected 1 to 65535.")
    dtype = np.dtype("u1" if white < 256 else ">u2")
    if len(content) - header.end() < width * height * dtype.itemsize or not width * height:
        raise OSError(f"{path} is cut off: its header says {width} x {height} pixels.")
    pixels = np.frombuffer(content, dtype, width * height, header.end())
    if pixels.max() > white:
        raise OSError(f"{path} holds the pixel {pixels.max()}, more than its largest, {white}.")
    return pixels.reshape(height, width), white


def _read_image(path: Path) -> tuple[np.ndarray, int]:
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise ImportError(f"{path} needs the package pillow: pip install pdr-jax[data]") from error
    try:
        with Image.open(path) as image:
            mode, pixels = image.mode, np.asarray(image)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError) as error:
        raise OSError(f"{path} cannot be read: {error}") from error
    if mode not in ("L", "P", "I;16", "I"):
        raise ValueError(
            f"{path} has colours (mode {mode}): expected grey, of 8 or 16 bits, or a palette, "
            "whose numbers are taken."
        )
    white = 255 if mode in ("L", "P") else 65535
    if pixels.min() < 0 or pixels.max() > white:
        raise ValueError(f"{path} holds pixels beyond 0..{white}.")
    return pixels, white
