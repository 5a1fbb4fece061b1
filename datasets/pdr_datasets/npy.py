"""Opens .npy files without trusting their headers."""

import math
import os
import tokenize
from pathlib import Path
from typing import Any

import numpy as np

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def open_npy(path: Path) -> np.ndarray:
    """The array of an .npy file, memory-mapped and read-only.

    Raises:
      OSError: there is no such file, or it cannot be read.
      ValueError: it is no .npy file, holds Python objects, or less than its header claims.
    """
    with path.open("rb") as file:
        try:
            shape, fortran, dtype = read_header(file)
            if dtype.hasobject:
                raise ValueError("it holds Python objects, which could run code when read")
            if not dtype.itemsize:
                raise ValueError(f"it holds {dtype}, which takes no bytes")
        except ValueError as error:
            raise ValueError(f"{path} cannot be read as .npy: {error}") from error
        start, size = file.tell(), os.fstat(file.fileno()).st_size
    claimed = math.prod(shape) * dtype.itemsize
    if start + claimed > size:
        raise ValueError(
            f"{path} cannot be read as .npy: its header claims {dtype} {shape}, {claimed} bytes, "
            f"and {size - start} are there. It is truncated or damaged."
        )
    if claimed == 0:  # which cannot be mapped
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, "r", start, shape, "F" if fortran else "C")


def read_header(stream: Any) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether in Fortran order, and dtype, from the start of an .npy stream.

    Raises:
      ValueError: it is no such header.
    """
    try:
        version = np.lib.format.read_magic(stream)
        if version not in _HEADERS:
            raise ValueError(f"version {version} of the format")
        shape, fortran, dtype = _HEADERS[version](stream)
    except (TypeError, KeyError, SyntaxError, tokenize.TokenError) as error:
        raise ValueError(f"its header is damaged ({error})") from error
    except (MemoryError, RecursionError) as error:  # thousands of brackets or signs
        raise ValueError("its header is damaged") from error
    if any(length < 0 for length in shape):
        raise ValueError(f"its header claims the shape {shape}")
    return shape, fortran, dtype
