"""Reads zip files of arrays: .npz, and PyTorch's, which are zip files too.

Each entry's checksum is compared, which neither NumPy's nor PyTorch's reader does by itself: a
flipped bit is an error and no other number. What a file claims to hold is limited by its size.
"""

import io
import math
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

# A file's contents may take GROWTH times its size and ROOM bytes more: weights hardly compress.
GROWTH, ROOM = 10, 256 * 2**20
# What Python's zip reader raises on a broken archive.
_BROKEN_ZIP = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, KeyError, OSError, RuntimeError,
    ValueError,
)  # fmt: skip


def entries(path: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents of a zip file's entries, with their checksums compared."""
    entry = ""
    with path.open("rb") as file:
        try:
            archive = zipfile.ZipFile(file)
            infos = archive.infolist()
            check_size(path, sum(info.file_size for info in infos))
            if len({info.filename for info in infos}) < len(infos):
                raise ValueError("two entries have the same name")
            file.seek(-12 - len(archive.comment), os.SEEK_END)  # where their number stands
            if (number := int.from_bytes(file.read(2), "little")) != min(len(infos), 0xFFFF):
                raise ValueError(f"of {number} entries, {len(infos)} are found")
            for info in infos:
                entry = f"entry {info.filename!r}: "
                if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise ValueError("it is compressed as neither NumPy nor PyTorch do")
                if not info.CRC and info.file_size:
                    raise ValueError(
                        "it has no checksum: save the file again without set_crc32_options(False)"
                    )
                with archive.open(info) as opened:
                    content = opened.read(info.file_size)  # bounds what is decompressed at once
                yield info.filename, content
        except _BROKEN_ZIP as error:
            raise broken(path, error, entry) from error


def array(path: Path, name: str, content: bytes) -> np.ndarray:
    """The array in an .npy; what its header claims is compared with what is there."""
    file = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0
        shape, fortran, dtype = (
            read if version == (1, 0) else np.lib.format.read_array_header_2_0
        )(file)
        if dtype.hasobject:
            raise ValueError("Python objects, which are not read; expected numbers")
        found = len(content) - file.tell()
        if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != found:
            raise ValueError(f"{found} bytes for an array of {dtype} {shape}")
        array = np.frombuffer(content, dtype, offset=file.tell())
        array = array.reshape(shape, order="F" if fortran else "C")
    except (ValueError, TypeError, OverflowError, RecursionError, MemoryError) as error:
        raise broken(path, error, f"entry {name!r}: ") from error
    if dtype.str == "|V2":  # the upper half of a float32
        array = (array.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    return array


def check_size(path: Path, claimed: int) -> None:
    """Checks the bytes that a file claims to hold against its size.

    Raises:
      ValueError: they are more than `GROWTH` and `ROOM` allow.
    """
    size = path.stat().st_size
    if claimed > GROWTH * size + ROOM:
        raise ValueError(
            f"its {size} bytes claim to hold {claimed}; expected at most {GROWTH} times the file's "
            f"size and {ROOM} bytes more"
        )


def broken(path: Path, error: Exception, entry: str = "") -> ValueError:
    """The error that names a file which cannot be read, the reason, and the entry if known."""
    # PyTorch's own message also advises to read the file unsafely; that part is cut.
    *_, reason = re.sub(r"\n\nCheck the documentation.*", "", str(error)).split("\n\n")
    if type(error) is not ValueError:
        reason = f"{type(error).__name__}: {reason}"
    return ValueError(
        f"{path} is no checkpoint, or a broken one: {entry}{' '.join(reason.split())}"
    )
