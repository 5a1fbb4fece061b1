"""The units that a run's figures are in: those of its data.json, whatever its data give today."""

import dataclasses
from pathlib import Path
from typing import Any, Literal

import numpy as np

import pdr_datasets
from pdr_jax.runs.folder import read_data, recorded_units

LIMIT = 0.1
Choice = Literal["run", "data"]


def in_units_of(
    run: Path, dataset: pdr_datasets.VideoDataset, units: Choice | None = None
) -> pdr_datasets.VideoDataset:
    """The data set in a run's own units.

    A run's model knows one offset and scale. A file that was copied, has grown or holds a spike
    may give others when they are fitted on it again; figures in those are of no use.

    Args:
      run: a run folder.
      dataset: an opened data set; that of another name keeps its own units.
      units: "run" takes the run's and "data" the data set's, however far they are apart.

    Returns:
      The data set; its note says how far its own units are from the run's.

    Raises:
      ValueError: `units` is not given and the two differ by a tenth of the run's scale or more, or
        data.json has no usable units.
    """
    found = read_data(run)
    own = recorded_units(run, found)
    if own is None or found["dataset"] != dataset.name or own.units == dataset.units:
        return dataset
    distance = _distance(own.units, dataset.units)
    said = (
        f"{Path(run) / 'data.json'} has {_in_words(own.units)}, the data would now give "
        f"{_in_words(dataset.units)}"
    )
    if distance >= LIMIT and units is None:
        raise ValueError(
            f"units: {said}. Expected the data that the run was trained on; for others choose "
            "units='run', in which the model was trained, or units='data'"
        )
    if units == "data":
        return _noted(dataset, f"Units are the data's: {said}.")
    changed = dataclasses.replace(dataset, units=own.units, data_range=own.data_range)
    return _noted(changed, f"Units are the run's: {said}." if distance else "")


def _distance(one: pdr_datasets.Units, two: pdr_datasets.Units) -> float:
    """The largest difference of offset or scale, as a share of the first scale."""
    offset, scale = np.asarray(one.offset), np.asarray(one.scale)
    differences = (np.asarray(two.offset) - offset, np.asarray(two.scale) - scale)
    return float(max(np.max(np.abs(d) / scale) for d in differences))


def _in_words(units: pdr_datasets.Units) -> str:
    def text(value: Any) -> str:
        return ",".join(f"{v:.6g}" for v in np.atleast_1d(value))

    return f"offset {text(units.offset)} and scale {text(units.scale)}"


def _noted(dataset: pdr_datasets.VideoDataset, note: str) -> pdr_datasets.VideoDataset:
    return dataclasses.replace(dataset, note=" ".join(filter(None, (dataset.note, note))))
