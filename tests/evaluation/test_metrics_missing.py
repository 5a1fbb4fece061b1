"""Figures of targets in which NaN marks missing pixels."""

import numpy as np
import pytest

from pdr_jax.metrics import DEFAULT, DETAIL, WEATHER, Evaluator

RNG = np.random.default_rng(0)
SHAPE = (3, 2, 8, 9, 2)
PREDICTION, TARGET = RNG.random((2, *SHAPE), np.float32)
HOLED = TARGET.copy()
HOLED[0, 0, :1, 3:5] = HOLED[1, 0, :, :, 1] = HOLED[2, 1] = np.nan
THERE = ~np.isnan(HOLED)
NAMES = (*DEFAULT, "psnr_uint8", "snr", *(n for n in DETAIL if n != "diversity"), *WEATHER)
OPTIONS = {
    "latitudes": np.linspace(-70, 70, 8),
    "climatology": np.full(SHAPE[2:], 0.4),
    "std": np.array([2.0, 3.0]),
    "extra": {"worst": lambda x, y: abs(x - y).max((-3, -2, -1))},
}


@pytest.fixture(scope="module")
def evaluator():
    return Evaluator(NAMES, missing=True, keep_samples=True, **OPTIONS)


def figures(evaluator, prediction, target):
    evaluator.reset()
    for start in range(0, len(target), 1):  # figures do not depend on the batches
        evaluator.update(prediction[start : start + 1], target[start : start + 1])
    return evaluator.compute()


def test_nothing_missing_changes_nothing(evaluator):
    complete = Evaluator(NAMES, **OPTIONS)
    expected = figures(complete, PREDICTION, TARGET)
    found = figures(evaluator, PREDICTION, TARGET)
    np.testing.assert_allclose([*found.values()], [*expected.values()], rtol=1e-4)
    assert found.keys() == expected.keys()


def test_means_are_over_what_is_there(evaluator):
    found = figures(evaluator, PREDICTION, HOLED)
    assert all(np.isfinite(value) for value in found.values())
    squared = ((PREDICTION - HOLED) * np.array([2, 3])) ** 2
    frames = [(clip, step) for clip in range(3) for step in range(2) if THERE[clip, step].any()]
    assert len(frames) == 5
    means = [squared[frame][THERE[frame]].mean() for frame in frames]
    pixels = np.prod(SHAPE[2:])
    np.testing.assert_allclose(found["mse"], pixels * np.mean(means), rtol=1e-5)
    weights = np.cos(np.deg2rad(OPTIONS["latitudes"]))[:, None, None] + np.zeros(SHAPE[2:])
    weighed = [np.average(squared[f][THERE[f]], weights=weights[THERE[f]]) for f in frames]
    np.testing.assert_allclose(found["rmse_weighted"], np.sqrt(np.mean(weighed)), rtol=1e-5)
    per_frame = evaluator.per_frame()
    np.testing.assert_allclose(per_frame["mse"][1], pixels * np.mean([means[1], means[3]]), 1e-5)
    values = evaluator.per_sample_frame()["mse"]
    np.testing.assert_array_equal(np.isnan(values), ~THERE.any((2, 3, 4)))
    np.testing.assert_allclose(evaluator.per_sample()["mse"][2], pixels * means[4], 1e-5)


@pytest.mark.parametrize("fill", [0.0, 5.0])
def test_what_is_predicted_where_nothing_is_known_does_not_matter(evaluator, fill):
    expected = figures(evaluator, PREDICTION, HOLED)
    found = figures(evaluator, np.where(THERE, PREDICTION, np.float32(fill)), HOLED)
    np.testing.assert_allclose([*found.values()], [*expected.values()], rtol=1e-5)


def test_ssim_leaves_out_windows_that_touch_a_missing_pixel(evaluator):
    figures(evaluator, PREDICTION, HOLED)
    x, y = (clip[0, 0] * np.array([2.0, 3.0]) for clip in (PREDICTION, HOLED))
    x, y = (
        np.lib.stride_tricks.sliding_window_view(frame, (7, 7), (0, 1)).reshape(-1, 49)
        for frame in (x.clip(0, 1), y)
    )
    whole = ~np.isnan(y).any(1)
    assert 0 < whole.sum() < len(whole)
    means = [
        ((2 * a.mean() * b.mean() + 4e-4) * (2 * np.cov(a, b)[0, 1] + 3.6e-3))
        / ((a.mean() ** 2 + b.mean() ** 2 + 4e-4) * (a.var(ddof=1) + b.var(ddof=1) + 3.6e-3))
        for a, b in zip(x[whole], y[whole], strict=True)
    ]
    found = evaluator.per_sample_frame()["ssim"]
    np.testing.assert_allclose(found[0, 0], np.mean(means), rtol=1e-4)
    assert np.isnan(found[2, 1])


def test_a_nan_in_a_prediction_stays_an_error(evaluator):
    broken = PREDICTION.copy()
    broken[0, 1, 2, 2] = np.nan
    found = figures(evaluator, broken, HOLED)
    assert np.isnan(found["mse"])
    assert not np.isnan(evaluator.per_frame()["mse"][0])


def test_metrics_of_whole_frames_are_refused():
    for name in ("diversity", "warping_error", "warping_error_raft"):
        with pytest.raises(ValueError, match=f"metric '{name}' needs whole frames"):
            Evaluator((name,), missing=True)
