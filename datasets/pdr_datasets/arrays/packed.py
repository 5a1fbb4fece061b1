"""Packed and masked numbers of NetCDF and Zarr, decoded by the CF conventions as xarray does."""

import base64
import binascii
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

_SCALES = ("scale_factor", "add_offset")
_FILLS = ("_FillValue", "missing_value")


class Unpacked:
    """Stored numbers x, served as float32 scale_factor * x + add_offset, decoded when sliced.

    Where x equals one of the fill values, NaN is served.

    Attributes:
      shape: of the array.
      dtype: float32.
      fills: the fill values, by the attribute's name.
    """

    dtype = np.dtype(np.float32)

    def __init__(
        self, data: Any, kind: str, scale: float, offset: float, fills: dict[str, list[float]]
    ):
        self.shape = tuple(data.shape)
        self.fills = fills
        self._data, self._kind, self._scale, self._offset = data, kind, scale, offset

    def __getitem__(self, index: Any) -> np.ndarray:
        stored = np.asarray(self._data[index])
        code = stored.dtype.str  # such as "<i2"
        stored = stored.view(code[0] + self._kind + code[2:])  # for `_Unsigned`
        with np.errstate(over="ignore"):  # what float32 cannot hold is refused as infinite
            values = stored.astype(np.float64) * self._scale + self._offset
            for fill in np.concatenate([*self.fills.values(), []]):
                values[stored == stored.dtype.type(fill)] = np.nan
            return values.astype(np.float32)


def unpack(data: Any) -> Any:
    """`data`, or `Unpacked` if its attributes say that it is packed or masked.

    Attributes are those of zarr.Array, h5py.Dataset and xarray.DataArray: scale_factor, add_offset,
    _FillValue, missing_value, _Unsigned. As for xarray, fill_value of a Zarr array of format 2 that
    xarray wrote (it has _ARRAY_DIMENSIONS) is its _FillValue.

    Raises:
      ValueError: an attribute does not hold what it should; the message starts with its name.
    """
    raw = stored = np.dtype(data.dtype)
    if raw.kind not in "iuf" or not isinstance(getattr(data, "attrs", None), Mapping):
        return data
    attributes = dict(data.attrs)
    format_2 = getattr(getattr(data, "metadata", None), "zarr_format", None) == 2
    if format_2 and "_ARRAY_DIMENSIONS" in attributes and data.fill_value is not None:
        attributes.setdefault("_FillValue", data.fill_value)
    if raw.kind in "iu" and "_Unsigned" in attributes:
        unsigned = attributes["_Unsigned"] in ("true", b"true", True)
        stored = np.dtype(f"{'u' if unsigned else 'i'}{raw.itemsize}")
    fills = {
        name: _fills(attributes[name], name, raw, stored) for name in _FILLS if name in attributes
    }
    marked = any(np.isfinite(fill) for values in fills.values() for fill in values)
    if not any(name in attributes for name in _SCALES) and not marked:
        return data
    scale, offset = (_number(attributes, name, 1.0 - i) for i, name in enumerate(_SCALES))
    if scale == 0:
        raise ValueError("scale_factor=0: expected another number.")
    return Unpacked(data, stored.kind, scale, offset, fills)


def _number(attributes: dict[str, Any], name: str, default: float) -> float:
    value = attributes.get(name, default)
    try:
        numbers = np.ravel(np.asarray(value, np.float64))
    except (TypeError, ValueError):
        numbers = np.empty(0)
    if len(numbers) != 1 or not np.isfinite(numbers[0]):
        raise ValueError(f"{name}={value!r}: expected one finite number.")
    return float(numbers[0])


def _fills(value: Any, name: str, raw: np.dtype, stored: np.dtype) -> list[float]:
    """The fill values that numbers can equal which are stored as `raw` and taken for `stored`."""
    fills = []
    for item in np.ravel(np.asarray(value)).tolist():
        try:
            fill = float(item)
        except (TypeError, ValueError):
            fill = _decode(item, name)
        if stored.kind == "f":
            fills.append(fill)
        elif fill.is_integer() and _holds(raw, fill):
            fills.append(float(np.array(fill, raw).view(stored)))
        elif fill.is_integer() and _holds(stored, fill):
            fills.append(fill)
    return fills


def _holds(dtype: np.dtype, number: float) -> bool:
    return bool(np.iinfo(dtype).min <= number <= np.iinfo(dtype).max)


def _decode(item: Any, name: str) -> float:
    """As xarray writes the _FillValue of floats in Zarr format 3 as eight bytes in base64."""
    try:
        return struct.unpack("<d", base64.b64decode(item, validate=True))[0]
    except (TypeError, ValueError, binascii.Error, struct.error) as error:
        raise ValueError(f"{name}={item!r}: expected a number.") from error
