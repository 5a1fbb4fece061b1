"""Missing values: NaN in what a data set serves, and how many there are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdr_datasets
from pdr_datasets.arrays.scaling import Statistics
from pdr_datasets.deepst import Flow
from pdr_datasets.flows import whole_days, with_missing


def series(channels=1):
    frames = np.random.default_rng(0).normal(3.0, 2.0, (20, 8, 8, channels)).astype(np.float32)
    frames[3, :2] = np.nan
    frames[17] = np.nan
    return frames


def test_a_reserved_whole_number_becomes_nan():
    units = pdr_datasets.Units(10.0, 2.0, missing=255)
    stored = np.array([[10, 255, 30]], np.uint8)[..., None]
    expected = np.array([[0, np.nan, 10]])[..., None]
    np.testing.assert_array_equal(units.normalise(stored), expected)
    np.testing.assert_array_equal(jax.jit(units.normalise)(jnp.asarray(stored)), expected)


@pytest.mark.parametrize("make", [lambda a: a, lambda a: np.ma.masked_invalid(a)])
def test_arrays_keep_missing_values_if_asked(make):
    frames = series()
    options = {"in_length": 2, "out_length": 2, "scaling": "zscore"}
    dataset = pdr_datasets.load("arrays", array=make(frames), missing="mask", **options)
    assert (dataset.fill, dataset.note) == (0.0, "Missing values: 80 (6.25%).")
    train = frames[:16]
    np.testing.assert_allclose(dataset.units.offset, np.nanmean(train), rtol=1e-6)
    np.testing.assert_allclose(dataset.units.scale, np.nanstd(train), rtol=1e-6)
    np.testing.assert_array_equal(dataset.splits["train"][0]["frames"], frames[:4])
    with pytest.raises(ValueError, match=r"missing='mask'\.|masked entries"):
        pdr_datasets.load("arrays", array=make(frames), **options)


def test_an_array_without_missing_values_pays_nothing():
    frames = np.nan_to_num(series())
    options = {"in_length": 2, "out_length": 2}
    dataset = pdr_datasets.load("arrays", array=frames, missing="mask", **options)
    assert (dataset.fill, dataset.note) == (None, "")
    frames[2, 0, 0] = np.inf
    with pytest.raises(ValueError, match=r"1 values that are infinite, the first at \(2, 0, 0, 0"):
        pdr_datasets.load("arrays", array=frames, missing="mask", **options)
    with pytest.raises(ValueError, match="missing='drop': expected 'refuse' or 'mask'"):
        pdr_datasets.load("arrays", array=frames, missing="drop", **options)


def test_statistics_leave_missing_values_out():
    frames = series(channels=2)
    frames[:, :, :, 1][frames[:, :, :, 1] > 4] = np.nan
    found = Statistics.empty(2)
    for part in (frames[:5], frames[5:18], frames[18:]):
        found.update(part)
    np.testing.assert_allclose(found.mean, np.nanmean(frames, (0, 1, 2)), rtol=1e-6)
    np.testing.assert_array_equal(found.high, np.nanmax(frames, (0, 1, 2)))
    for statistics, axes in ((found, (0, 1, 2)), (found.over_channels(), (0, 1, 2, 3))):
        spread = np.sqrt(statistics.squares / statistics.count)
        np.testing.assert_allclose(spread, np.ravel(np.nanstd(frames, axes)), rtol=1e-6)


def test_missing_slots_of_a_day_become_frames():
    times = np.array([1, 2, 3, 5, 12, 13])  # three slots a day; days 2 and 3 have none
    frames = np.arange(6.0).repeat(2).reshape(6, 2, 1, 1)
    flow = Flow("x", times, lambda: iter((frames[:4], frames[4:])), np.zeros(6, bool))
    filled = with_missing(flow, 3)
    assert whole_days(filled.times, 3).all()
    np.testing.assert_array_equal(filled.times, [0, 1, 2, 3, 4, 5, 12, 13, 14])
    found = np.concatenate([*filled.blocks()])[:, 0, 0, 0]
    np.testing.assert_array_equal(found, [np.nan, 0, 1, 2, np.nan, 3, 4, 5, np.nan])
    np.testing.assert_array_equal(filled.missing, np.isnan(found))
