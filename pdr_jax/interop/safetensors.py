"""Reads .safetensors files.

The format, of https://github.com/huggingface/safetensors: eight bytes with the length of a header,
the header in JSON, then the tensors' bytes. It has no checksums.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

# The format's names of types -> NumPy's. BF16 is the upper half of a float32.
DTYPES = {
    **{f"F{8 * size}": f"<f{size}" for size in (2, 4, 8)},
    **{f"I{8 * size}": f"<i{size}" for size in (1, 2, 4, 8)},
    **{f"U{8 * size}": f"<u{size}" for size in (1, 2, 4, 8)},
    "BOOL": "?",
    "BF16": "<u2",
}
LONGEST_HEADER = 100_000_000  # bytes, the format's own limit


def load(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a .safetensors file by name; bfloat16 becomes float32.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: the file is broken, or has a tensor of another type.
    """
    with path.open("rb") as file:
        size = path.stat().st_size - 8
        length = int.from_bytes(file.read(8), "little")
        if not 0 < length <= min(size, LONGEST_HEADER):
            raise ValueError(f"{path} is no safetensors file: its header would have {length} bytes")
        try:
            header = json.loads(file.read(length))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path} is no safetensors file: its header is no JSON") from error
        if not isinstance(header, dict):
            raise ValueError(f"{path} is no safetensors file: its header is no JSON object")
        header.pop("__metadata__", None)
        tensors = [(key, *_checked(path, key, entry)) for key, entry in header.items()]
        end, state = 0, {}
        for key, dtype, shape, start, stop in sorted(tensors, key=lambda tensor: tensor[3:]):
            if start != end:
                raise ValueError(
                    f"{path} is broken: {key} begins at byte {start}, expected {end}, where the "
                    "tensor before it ends"
                )
            end = stop
            if end > size - length:
                break
            array = np.frombuffer(file.read(stop - start), DTYPES[dtype]).reshape(shape)
            if dtype == "BF16":
                array = (array.astype(np.uint32) << 16).view(np.float32)
            state[key] = array
    if end != size - length:
        raise ValueError(
            f"{path} is broken: its tensors would take {end} bytes, it has {size - length}"
        )
    return state


def _checked(path: Path, key: str, entry: Any) -> tuple[str, tuple[int, ...], int, int]:
    """A tensor's type, shape, first byte and the byte after its last."""
    match entry:
        case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [int(start), int(stop)]}:
            if dtype not in DTYPES:
                raise ValueError(
                    f"{path}: {key} has the type {dtype}; expected one of {', '.join(DTYPES)}"
                )
            if all(type(length) is int and length >= 0 for length in shape):
                taken = math.prod(shape) * np.dtype(DTYPES[dtype]).itemsize
                if start >= 0 and stop - start == taken:
                    return dtype, tuple(shape), start, stop
    raise ValueError(f"{path} is broken: {key} lacks a dtype, a shape and data_offsets that agree")
