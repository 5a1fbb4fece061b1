"""Radar maps in HDF5: ODIM_H5 (OPERA and many weather services), and KNMI's layout."""

import contextlib
import datetime
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pdr_datasets.bounds import check_claim
from pdr_datasets.radar.about import About
from pdr_datasets.radar.fields import FieldFile, Map, as_rate

SUFFIXES = (".h5", ".hdf", ".hdf5")
_UNITS = {"DBZH": "dBZ", "TH": "dBZ", "DBZV": "dBZ", "TV": "dBZ", "RATE": "mm/h", "ACRR": "mm"}
_FORMULA = re.compile(r"GEO\s*=\s*([-+.\deE]+)\s*\*\s*PV\s*([-+][.\deE+-]+)?")
_OTHER = "expected ODIM_H5 (what, dataset1) or KNMI's layout (overview, image1)."


def open_hdf5(path: Path, about: About) -> FieldFile:
    """A file with one map.

    Raises:
      OSError: the file is no HDF5, or damaged.
      ValueError: it has another layout, holds polar data, or none of a known quantity.
      ImportError: the package h5py is not installed.
    """
    with _opened(path) as file:
        if "image1/image_data" in file:
            time, read = _time_of_knmi(path, file), _read_knmi
        elif "what" in file and "dataset1" in file:
            time, read = _time_of_odim(path, file), _read_odim
        else:
            raise ValueError(f"{path} holds {', '.join(file) or 'nothing'}: {_OTHER}")

    def read_map(index: int) -> Map:
        del index
        with _opened(path) as file:
            return read(path, file, about)

    return FieldFile(path, time, read_map)


def _read_odim(path: Path, file: Any, about: About) -> Map:
    kind = _text(file["what"].attrs.get("object", "COMP"))
    if kind in ("PVOL", "SCAN", "RAY", "AZIM", "ELEV", "VP", "XSEC"):
        raise ValueError(
            f"{path} holds {kind}, not a map: expected a composite (COMP) or an image."
        )
    found: dict[str, tuple[Any, dict[str, Any]]] = {}
    for dataset in (file[name] for name in sorted(file) if re.fullmatch(r"dataset\d+", name)):
        for name in sorted(dataset):
            if re.fullmatch(r"data\d+", name) and "data" in dataset[name]:
                attributes = {
                    key: value
                    for group in (file, dataset, dataset[name])
                    for key, value in (group["what"].attrs.items() if "what" in group else ())
                }
                quantity = _text(attributes.get("quantity", ""))
                found.setdefault(quantity, (dataset[name]["data"], attributes))
    usable = [name for name in found if name in ((about.key,) if about.key else _UNITS)]
    if len(usable) != 1:
        which = f" ({about.key} is asked for)" if about.key else ""
        raise ValueError(
            f"{path} holds the quantities {', '.join(found) or 'none'}{which}: expected one of "
            f"{', '.join(_UNITS)}; of several, put the wanted one as key into radar.json."
        )
    (quantity,) = usable
    data, attributes = found[quantity]
    unit = about.unit or _UNITS.get(quantity, "")
    if not unit:
        raise ValueError(f"{path}: the unit of {quantity} is not known: put it into radar.json.")
    stored = _values(path, data)
    gain, offset = (_number(path, attributes, *pair) for pair in (("gain", 1.0), ("offset", 0.0)))
    values = stored * gain + offset
    dry = -np.inf if unit == "dBZ" else 0.0
    for name, value in (("undetect", dry), ("nodata", np.nan)):
        if name in attributes:
            values[stored == _number(path, attributes, name, 0.0)] = value
    minutes = about.minutes
    if unit == "mm" and not minutes:
        start, end = (_date(path, attributes, f"{at}date", f"{at}time") for at in ("start", "end"))
        minutes = (end - start).total_seconds() / 60
        if minutes <= 0:
            raise ValueError(f"{path}: {quantity} fell from {start} to {end}: no time at all.")
    return as_rate(values, unit, minutes)


def _time_of_odim(path: Path, file: Any) -> np.ndarray:
    return np.array([_date(path, file["what"].attrs, "date", "time")], "datetime64[s]")


def _date(path: Path, attributes: Mapping[str, Any], date: str, time: str) -> datetime.datetime:
    text = "".join(_text(attributes.get(name, "?")) for name in (date, time))
    try:
        return datetime.datetime.strptime(text, "%Y%m%d%H%M%S")
    except ValueError as error:
        raise ValueError(
            f"{path}: what/{date} and what/{time} are {text!r}: expected YYYYMMDD and HHMMSS."
        ) from error


def _read_knmi(path: Path, file: Any, about: About) -> Map:
    image = file["image1"]
    named = _text(image.attrs.get("image_geo_parameter", ""))
    unit = about.unit or {"[MM]": "mm", "[DBZ]": "dBZ"}.get(named[named.find("[") :].upper(), "")
    if not unit:
        raise ValueError(
            f"{path}: image_geo_parameter is {named!r}: expected ..._[MM] or ..._[DBZ]."
        )
    attributes = image["calibration"].attrs if "calibration" in image else {}
    formula = _text(attributes.get("calibration_formulas", ""))
    match = _FORMULA.fullmatch(formula.strip())
    if match is None:
        raise ValueError(f"{path}: calibration_formulas is {formula!r}: expected GEO=a*PV+b.")
    stored = _values(path, image["image_data"])
    values = stored * float(match[1]) + float(match[2] or 0)
    for name in ("calibration_missing_data", "calibration_out_of_image"):
        if name in attributes:
            values[stored == _number(path, attributes, name, 0.0)] = np.nan
    minutes = about.minutes
    if unit == "mm" and not minutes:
        start, end = (_knmi_date(path, file, at) for at in ("start", "end"))
        minutes = (end - start).total_seconds() / 60
        if minutes <= 0:
            raise ValueError(f"{path}: {named} fell from {start} to {end}: no time at all.")
    return as_rate(values, unit, minutes)


def _time_of_knmi(path: Path, file: Any) -> np.ndarray:
    return np.array([_knmi_date(path, file, "end")], "datetime64[s]")


def _knmi_date(path: Path, file: Any, end: str) -> datetime.datetime:
    name = f"product_datetime_{end}"
    text = _text(file["overview"].attrs.get(name, "?") if "overview" in file else "?")
    try:
        return datetime.datetime.strptime(text.partition(".")[0].title(), "%d-%b-%Y;%H:%M:%S")
    except ValueError as error:
        raise ValueError(
            f"{path}: {name} is {text!r}: expected a time such as 26-AUG-2010;00:00:00.000."
        ) from error


def _values(path: Path, data: Any) -> np.ndarray:
    if getattr(data, "ndim", 0) != 2 or data.dtype.kind not in "iuf" or 0 in data.shape:
        shape = getattr(data, "shape", "no shape")
        raise ValueError(f"{path}: {data.name!r} has {shape}: expected numbers (H, W).")
    check_claim(f"{path}: {data.name!r}", data.nbytes, data.id.get_storage_size())
    return data[...].astype(np.float64)


def _number(path: Path, attributes: Mapping[str, Any], name: str, default: float) -> float:
    value = attributes.get(name, default)
    try:
        return float(np.ravel(value)[0])
    except (TypeError, ValueError, IndexError) as error:
        raise ValueError(f"{path}: {name}={value!r}: expected a number.") from error


def _text(value: Any) -> str:
    value = np.ravel(value)[0] if np.size(value) == 1 else value
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        import h5py
    except ImportError as error:
        raise ImportError(f"{path} needs the package h5py: pip install pdr-jax[data]") from error
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise OSError(f"{path} is no HDF5 file, or is cut off: {error}") from error
    with file:
        try:
            yield file
        # As h5py says that a chunk, a group or an attribute is damaged, or is not there.
        except (OSError, KeyError, RuntimeError) as error:
            raise OSError(f"{path} cannot be read: {error}") from error
