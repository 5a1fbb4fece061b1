"""A run's figures are in the units that it was trained in."""

import json

import numpy as np
import pytest

import pdr_datasets
from pdr_datasets import Units
from pdr_jax.files import write_json
from pdr_jax.runs.folder import describe_dataset
from pdr_jax.runs.units import in_units_of

SERIES = np.linspace(270, 290, 40 * 16).reshape(40, 4, 4).astype(np.float32)


def opened(series, **options):
    return pdr_datasets.load("arrays", array=series, in_length=2, out_length=2, **options)


def spiked(by):
    changed = SERIES.copy()
    changed[3, 0, 0] = changed[:32].max() + by  # the training part
    return changed


@pytest.fixture
def run(tmp_path):
    write_json(tmp_path / "data.json", describe_dataset(opened(SERIES)))
    return tmp_path


def test_a_small_difference_is_noted_and_the_runs_units_are_used(run):
    own, changed = opened(SERIES), opened(spiked(0.5))
    assert own.units != changed.units
    used = in_units_of(run, changed)
    assert (used.units, used.data_range) == (own.units, own.data_range)
    assert "Units are the run's" in used.note
    assert in_units_of(run, own) == own


def test_a_tenth_is_refused_unless_told(run):
    own, changed = opened(SERIES), opened(spiked(400))
    with pytest.raises(ValueError, match=r"units: .*data.json has offset 270 and scale 15\.9"):
        in_units_of(run, changed)
    assert in_units_of(run, changed, "run").units == own.units
    kept = in_units_of(run, changed, "data")
    assert kept.units == changed.units
    assert "Units are the data's" in kept.note


def test_another_data_set_keeps_its_own_units(run):
    found = json.loads((run / "data.json").read_text())
    write_json(run / "data.json", found | {"dataset": "taxibj"})
    changed = opened(spiked(400))
    assert in_units_of(run, changed) == changed


@pytest.mark.parametrize(
    ("field", "value"),
    [("scale", 0), ("scale", None), ("scale", [1.0, -2.0]), ("offset", "x"), ("data_range", [])],
)
def test_units_that_cannot_be_are_refused(run, field, value):
    found = json.loads((run / "data.json").read_text())
    write_json(run / "data.json", found | {field: value})
    with pytest.raises(ValueError, match=rf"{field}=.* in .*data\.json: expected"):
        in_units_of(run, opened(SERIES))


def test_each_channel_may_have_its_own_units(run):
    two = np.stack([SERIES, 2 * SERIES], axis=-1)
    dataset = opened(two, per_channel=True)
    write_json(run / "data.json", describe_dataset(dataset))
    assert in_units_of(run, dataset) == dataset
    assert isinstance(dataset.units, Units)
    with pytest.raises(ValueError, match="units: "):
        in_units_of(run, opened(two))
