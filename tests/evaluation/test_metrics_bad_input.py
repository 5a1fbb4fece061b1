"""Scores of samples and events: integers, shapes that do not fit, NaN in predictions."""

import numpy as np
import pytest

from pdr_jax import metrics

TARGET = np.uint8([200, 10, 30, 40]).reshape(1, 1, 2, 2, 1)  # B, T, H, W, C
SAMPLES = np.stack([TARGET + np.uint8(9), TARGET - np.uint8(5)])
FUNCTIONS = (metrics.crps, metrics.spread_and_error, metrics.rank_histogram)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_integers_are_scored_as_floats(function):
    expected = function(np.float32(SAMPLES), np.float32(TARGET))
    np.testing.assert_array_equal(function(SAMPLES, TARGET), expected)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_samples_of_another_shape_are_refused(function):
    for samples, target in (
        (SAMPLES, TARGET.repeat(3, -1)),
        (SAMPLES.repeat(2, 1), TARGET),
        (SAMPLES[:0], TARGET),
    ):
        with pytest.raises(ValueError, match=r"samples has shape .* target .* expected"):
            function(samples, target)


def test_other_bad_input_is_refused():
    with pytest.raises(ValueError, match="n of 2 or more"):
        metrics.spread_and_error(SAMPLES[:1], TARGET)
    with pytest.raises(ValueError, match="n of 1 or more"):
        metrics.Ensemble().update(SAMPLES[:0], TARGET)
    with pytest.raises(ValueError, match="expected equal shapes"):
        metrics.event_counts(TARGET, TARGET.repeat(3, -1), np.float32(5))
    with pytest.raises(ValueError, match="one for each channel"):
        metrics.event_counts(TARGET, TARGET, np.float32([1, 2, 3]))
    events = metrics.Events({"a": 20.0})
    with pytest.raises(ValueError, match="expected equal shapes"):
        events.update(TARGET.repeat(2, 1)[:, :1], TARGET.repeat(2, 1))
    for empty in (events, metrics.Ensemble(), metrics.Frechet("f", lambda clips: clips)):
        with pytest.raises(ValueError, match="call update"):
            empty.compute()
    for made in (metrics.Events, lambda limits: metrics.Ensemble(thresholds=limits)):
        with pytest.raises(TypeError, match="thresholds is a list"):
            made([5, 1])


def test_a_nan_prediction_has_no_figures_where_there_is_a_truth():
    prediction, target = np.float32(SAMPLES[0]), np.float32(TARGET)
    prediction[..., 0, 0, 0] = np.nan
    events = metrics.Events({"a": 20.0})
    events.update(prediction, target)
    assert np.isnan(list(events.compute().values())).all()
    samples = np.stack([prediction, target])
    assert np.isnan(metrics.rank_histogram(samples, target)).all()
    assert np.isnan(metrics.reliability_counts(samples, target, np.float32(20))).all()
    target[..., 0, 0, 0] = np.nan
    assert metrics.event_counts(prediction, target, np.float32(20)).sum() == 3
    assert metrics.rank_histogram(samples, target).sum() == 3


def test_a_distance_needs_finite_numbers():
    assert metrics.frechet_distance([[0.0], [2.0]], [[1.0], [3.0]]) == pytest.approx(1)
    with pytest.raises(ValueError, match="expected finite"):
        metrics.frechet_distance(np.full((3, 2), np.nan), np.ones((3, 2)))
