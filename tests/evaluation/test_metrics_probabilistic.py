"""CRPS, spread, ranks and reliability, against plain definitions in float64."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from pdr_jax.metrics import Ensemble
from pdr_jax.metrics.probabilistic import (
    crps,
    rank_histogram,
    reliability_counts,
    spread_and_error,
)

RNG = np.random.default_rng(0)
SAMPLES = RNG.normal(size=(5, 2, 3, 4, 4, 2)).astype(np.float32)  # n, B, T, H, W, C
TARGET = RNG.normal(size=SAMPLES.shape[1:]).astype(np.float32)


def crps_by_pairs(samples, target, fair):
    """The definition: two sums over samples."""
    x, y, n = np.float64(samples), np.float64(target), len(samples)
    pairs = np.abs(x[:, None] - x[None]).sum((0, 1))
    return np.abs(x - y).mean(0) - pairs / (2 * n * (n - 1 if fair else n))


@pytest.mark.parametrize("fair", [True, False])
def test_crps_is_its_definition(fair):
    got = crps(jnp.asarray(SAMPLES), jnp.asarray(TARGET), fair=fair)
    np.testing.assert_allclose(got, crps_by_pairs(SAMPLES, TARGET, fair), atol=1e-6)


def test_ordinary_crps_is_the_integral_over_the_samples_step_function():
    """The integral of (F(x) - [x >= y])^2, which is constant between samples and truth."""
    samples, target = np.float64(SAMPLES[:, 0, 0, 0, 0, 0]), float(TARGET[0, 0, 0, 0, 0])
    x = np.sort([*samples, target])
    middle = (x[1:] + x[:-1]) / 2
    squares = ((samples < middle[:, None]).mean(1) - (middle >= target)) ** 2
    expected = (squares * np.diff(x)).sum()
    got = crps(SAMPLES[:, :1, 0, :1, :1, :1], TARGET[:1, 0, :1, :1, :1], fair=False)
    assert float(got.squeeze()) == pytest.approx(expected, rel=1e-5)


def test_fair_crps_estimates_that_of_the_distribution_without_bias():
    """The mean over many ensembles of 2 is the integral for the normal distribution itself."""

    def square(x, y):
        return (stats.norm.cdf(x) - (x >= y)) ** 2

    y = 0.7
    expected = sum(integrate.quad(square, *part, args=(y,))[0] for part in ((-9, y), (y, 9)))
    samples = np.random.default_rng(1).normal(size=(2, 1, 200, 200, 1)).astype(np.float32)
    target = np.full(samples.shape[1:], y, np.float32)
    error = 1 / 200  # of the mean over 200^2 ensembles: their deviation is below 1
    assert float(crps(samples, target).mean()) == pytest.approx(expected, abs=4 * error)
    assert float(crps(samples, target, fair=False).mean()) > expected + 20 * error


def test_crps_of_one_sample_is_the_absolute_error():
    np.testing.assert_array_equal(crps(SAMPLES[:1], TARGET), np.abs(SAMPLES[0] - TARGET))


def test_crps_keeps_its_digits_far_from_zero():
    far = crps(np.float32(SAMPLES / 8 + 512), np.float32(TARGET / 8 + 512))
    x, y = np.float32(SAMPLES / 8 + 512), np.float32(TARGET / 8 + 512)
    np.testing.assert_allclose(far, crps_by_pairs(x, y, True), atol=1e-6)


def test_spread_and_error_are_their_definitions():
    variance, error = spread_and_error(SAMPLES, TARGET)
    x, y = np.float64(SAMPLES), np.float64(TARGET)
    np.testing.assert_allclose(variance, x.var(0, ddof=1), rtol=1e-5)
    np.testing.assert_allclose(error, (x.mean(0) - y) ** 2, rtol=1e-3, atol=1e-6)


def test_ranks_are_counted_and_ties_shared():
    samples = np.float32([0, 1, 1, 2]).reshape(4, 1, 1, 1)
    for value, expected in (
        (-1.0, [1, 0, 0, 0, 0]),
        (0.5, [0, 1, 0, 0, 0]),
        (1.0, [0, 1 / 3, 1 / 3, 1 / 3, 0]),  # above one sample, and between equal ones
        (9.0, [0, 0, 0, 0, 1]),
        (np.nan, [0, 0, 0, 0, 0]),
    ):
        got = rank_histogram(samples, np.full((1, 1, 1), value, np.float32))
        np.testing.assert_allclose(got, expected)


def test_reliability_counts_are_their_definition():
    threshold = np.float32([0.2, -0.1])
    pixels, events = reliability_counts(SAMPLES, TARGET, jnp.asarray(threshold))
    forecast, event = (threshold <= SAMPLES).sum(0), threshold <= TARGET
    for level in range(6):
        here = forecast == level
        np.testing.assert_array_equal(pixels[..., level], here.sum((-3, -2, -1)))
        np.testing.assert_array_equal(events[..., level], (here & event).sum((-3, -2, -1)))


@pytest.fixture(scope="module")
def ensemble():
    """Two batches, the second filled up, in units of (3, 7); two pixels have no truth."""
    target = TARGET.copy()
    target[0, 1, 2, :2, 0] = np.nan
    made = Ensemble(std=np.array([3.0, 7.0]), thresholds={"a": 0.5})
    made.update(SAMPLES[:, :1], target[:1])
    filled = [np.concatenate([clip[1:], clip[:1]]) for clip in (SAMPLES.swapaxes(0, 1), target)]
    made.update(filled[0].swapaxes(0, 1), filled[1], np.array([True, False]))
    return made, target


def test_figures_are_means_over_the_pixels_that_have_a_truth(ensemble):
    made, target = ensemble
    scale = np.array([3.0, 7.0])
    x, y = np.float64(SAMPLES) * scale, np.float64(target) * scale
    figures = made.compute()
    assert figures["crps"] == pytest.approx(np.nanmean(crps_by_pairs(x, y, True)), rel=1e-5)
    ordinary = np.nanmean(crps_by_pairs(x, y, False))
    assert figures["crps_ordinary"] == pytest.approx(ordinary, rel=1e-5)
    known = ~np.isnan(y)
    ratio = 6 / 5 * x.var(0, ddof=1)[known].mean() / ((x.mean(0) - y) ** 2)[known].mean()
    assert figures["spread_skill"] == pytest.approx(np.sqrt(ratio), rel=1e-5)
    curve = made.per_frame()["crps"]
    expected = np.nanmean(crps_by_pairs(x, y, True), (0, 2, 3, 4))
    np.testing.assert_allclose(curve, expected, rtol=1e-5)


def test_ranks_and_reliability_over_a_test_set(ensemble):
    made, target = ensemble
    known = ~np.isnan(target)
    below = (target > SAMPLES).sum(0)[known]
    np.testing.assert_allclose(made.rank_histogram(), np.bincount(below) / known.sum(), rtol=1e-6)
    curve = made.reliability()["a"]
    assert curve["probability"] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    assert sum(curve["pixels"]) == known.sum()
    forecast = (SAMPLES >= 0.5).sum(0)
    expected = (target >= 0.5)[known & (forecast == 1)].mean()
    assert curve["frequency"][1] == pytest.approx(expected)


def test_a_calibrated_ensemble_has_a_ratio_of_one():
    rng = np.random.default_rng(2)
    samples, target = rng.normal(size=(4, 1, 1, 300, 300, 1)), rng.normal(size=(1, 1, 300, 300, 1))
    made = Ensemble()
    made.update(np.float32(samples), np.float32(target))
    assert made.compute()["spread_skill"] == pytest.approx(1, abs=0.02)
    np.testing.assert_allclose(made.rank_histogram(), 1 / 5, atol=0.007)


def test_one_sample_has_no_spread_and_nan_samples_show():
    made = Ensemble()
    made.update(SAMPLES[:1], TARGET)
    assert made.compute().keys() == {"crps", "crps_ordinary"}
    with pytest.raises(ValueError, match="has 2 samples; expected 1, as before"):
        made.update(SAMPLES[:2], TARGET)
    with pytest.raises(ValueError, match="expected \\(n, B, T, H, W, C\\)"):
        made.update(TARGET, TARGET)
    made.update(SAMPLES[:1] * np.nan, TARGET)
    assert np.isnan(made.compute()["crps"])
