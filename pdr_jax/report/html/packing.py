"""Arrays as text that a page can hold: 8 or 16 bits a value, differences, deflate, base64.

A value is low + (high - low) code / (2^bits - 1). Codes are stored as differences, modulo 2^bits,
from the code `stride` places before: smooth arrays become small. `unpack` in maths.js undoes it.
"""

import base64
import dataclasses
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Codes:
    """An array in whole numbers.

    Attributes:
      codes: uint8 or uint16.
      low: the value of code 0.
      high: the value of the largest code.
      stride: see the module.
    """

    codes: np.ndarray
    low: float
    high: float
    stride: int


def frame_codes(frames: np.ndarray, low: float, high: float) -> Codes:
    """Frames (T, H, W, C) as codes (T, H, W, 1 or 3) of 8 bits: RGB, or the first channel.

    Values beyond the range take its ends, and NaN the lower one.
    """
    shown = frames if frames.shape[-1] == 3 else frames[..., :1]
    return Codes(_codes(shown, low, high, np.uint8), low, high, shown.shape[-1])


def number_codes(values: np.ndarray) -> Codes:
    """Numbers over time, (T, ...), as codes of 16 bits in the range that they take."""
    finite = np.nan_to_num(np.asarray(values, np.float64))
    low, high = float(finite.min(initial=0.0)), float(finite.max(initial=0.0))
    return Codes(_codes(finite, low, high, np.uint16), low, high, finite[:1].size)


def _codes(values: np.ndarray, low: float, high: float, dtype: type[np.unsignedinteger]) -> Any:
    largest = np.iinfo(dtype).max
    unit = (np.asarray(values, np.float64) - low) / ((high - low) or 1.0)
    return np.rint(np.clip(np.nan_to_num(unit), 0, 1) * largest).astype(dtype)


def pack(arrays: Mapping[str, Codes]) -> dict[str, Any]:
    """JSON types: {"arrays": {name: {bits, shape, offset, low, high, stride}}, "data": base64}."""
    described, parts, offset = {}, [], 0
    # A view of 16 bits must start at an even byte.
    for name, array in sorted(arrays.items(), key=lambda item: -item[1].codes.itemsize):
        flat = array.codes.ravel()
        difference = flat.copy()
        difference[array.stride :] -= flat[: -array.stride]
        described[name] = {
            "bits": 8 * flat.itemsize,
            "shape": list(array.codes.shape),
            "offset": offset,
            "low": float(f"{array.low:.7g}"),
            "high": float(f"{array.high:.7g}"),
            "stride": array.stride,
        }
        parts.append(difference.astype(difference.dtype.newbyteorder("<")).tobytes())
        offset += len(parts[-1])
    data = base64.b64encode(zlib.compress(b"".join(parts), 9)).decode("ascii")
    return {"arrays": described, "data": data}
