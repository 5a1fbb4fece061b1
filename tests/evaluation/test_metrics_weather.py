"""Latitude-weighted errors and ACC: the papers' formulas in float64, groups, refusals."""

import numpy as np
import pytest

from pdr_jax import metrics
from pdr_jax.metrics import Evaluator

NAMES = ("rmse_weighted", "rmse_weighted_frame", "mae_weighted", "acc")
LATITUDES = np.array([-75.0, -45.0, -15.0, 15.0, 45.0, 75.0])
MEAN, STD = 278.5, 21.25


def kelvin(shape=(3, 4, 6, 8, 2)):
    """Model units, their kelvin in float64, and a climatology in kelvin."""
    rng = np.random.default_rng(0)
    target = rng.standard_normal(shape, np.float32)
    prediction = target + 0.3 * rng.standard_normal(shape, np.float32)
    climatology = MEAN + STD * 0.5 * rng.standard_normal(shape[2:])
    return (
        (prediction, target),
        (np.float64(a) * STD + MEAN for a in (prediction, target)),
        (climatology),
    )


def evaluator(names=NAMES, **options):
    return Evaluator(names, **{"mean": MEAN, "std": STD, "latitudes": LATITUDES, **options})


def reference(p, y, climatology):
    """WeatherBench's figures, each straight from its formula."""
    weights = np.cos(np.deg2rad(LATITUDES))
    weights = (weights / weights.mean())[:, None, None]
    squared = (weights * (p - y) ** 2).mean((-3, -2, -1))
    a, b = p - climatology, y - climatology
    sums = [(weights * product).sum((-3, -2)) for product in (a * b, a * a, b * b)]
    return {
        "rmse_weighted": np.sqrt(squared.mean()),
        "rmse_weighted_frame": np.sqrt(squared).mean(),
        "mae_weighted": (weights * np.abs(p - y)).mean(),
        "acc": (sums[0] / np.sqrt(sums[1] * sums[2])).mean(),
    }


def test_equals_the_formulas():
    clips, (p, y), climatology = kelvin()
    figures = evaluator(climatology=climatology)
    figures.update(*clips)
    for name, value in reference(p, y, climatology).items():
        np.testing.assert_allclose(figures.compute()[name], value, rtol=1e-5, err_msg=name)
    assert figures.per_frame()["acc"].shape == (4,)
    assert figures.compute()["rmse_weighted_frame"] < figures.compute()["rmse_weighted"]


def test_groups_of_channels():
    clips, (p, y), climatology = kelvin()
    figures = evaluator(climatology=climatology, channel_names=("t", "z"))
    figures.update(*clips)
    actual = figures.compute()
    for index, group in enumerate(("t", "z")):
        part = slice(index, index + 1)
        for name, value in reference(p[..., part], y[..., part], climatology[..., part]).items():
            np.testing.assert_allclose(actual[f"{name}_{group}"], value, rtol=1e-5, err_msg=name)
    for name in NAMES:
        mean = (actual[f"{name}_t"] + actual[f"{name}_z"]) / 2
        np.testing.assert_allclose(actual[name], mean, rtol=1e-6)


def test_constant_errors_and_perfect_predictions():
    (_, target), _, climatology = kelvin()
    figures = evaluator(climatology=climatology)
    figures.update(target + np.float32(0.5), target)
    actual = figures.compute()
    for name in NAMES[:-1]:
        np.testing.assert_allclose(actual[name], 0.5 * STD, rtol=1e-5)
    figures.reset()
    figures.update(target, target)
    np.testing.assert_allclose(figures.compute()["acc"], 1.0, rtol=1e-6)


def test_weights_are_the_cell_areas_of_a_regular_grid():
    """WeatherBench 2 takes areas, sin of the upper less sin of the lower bound."""
    latitudes = np.arange(-87.1875, 90, 5.625)
    edges = np.deg2rad(np.linspace(-90, 90, 33))
    areas = np.diff(np.sin(edges))
    np.testing.assert_allclose(metrics.latitude_weights(latitudes), areas / areas.mean())


CLIPS = np.zeros((1, 2, 6, 8, 2), np.float32)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Evaluator(("mae_weighted",)), "'mae_weighted' needs .*latitudes="),
        (lambda: evaluator(("acc",)), "'acc' needs .*climatology=.*leave it out"),
        (lambda: evaluator(("mae_weighted",), latitudes=(0.0, 91.0)), "from -90 to 90"),
        (lambda: evaluator(("mae_weighted",), latitudes=(0.0, np.nan)), "from -90 to 90"),
        (
            lambda: evaluator(("mae_weighted",), latitudes=(0.0, 9.0)).update(CLIPS, CLIPS),
            "latitudes has 2 values; the frames have 6 rows",
        ),
        (
            lambda: evaluator(climatology=np.zeros((6, 8, 1))).update(CLIPS, CLIPS),
            r"climatology has shape \(6, 8, 1\); the frames have \(6, 8, 2\)",
        ),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
