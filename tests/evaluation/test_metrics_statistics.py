"""Sharpness, spectral energy, kurtosis, diversity: closed forms, NumPy and SciPy."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage, stats

from pdr_jax import metrics
from pdr_jax.metrics import Evaluator

NAMES = ("sharpness", "spectral_energy", "kurtosis", "diversity")


def clips(shape, seed=0):
    return np.random.default_rng(seed).random(shape, np.float32)


def evaluate(prediction, target, names=NAMES, **options):
    evaluator = Evaluator(names, **options)
    evaluator.update(prediction, target)
    return evaluator.compute()


def test_the_truth_has_ratios_of_one_and_offsets_do_not_matter():
    target = clips((3, 2, 12, 16, 2))
    for prediction in (target, target + 7.0):
        figures = evaluate(prediction, target, NAMES)
        np.testing.assert_allclose(list(figures.values()), 1.0, rtol=2e-5)


def test_half_the_contrast():
    target = clips((3, 2, 12, 16, 2))
    figures = evaluate(0.5 * target, target)
    expected = {"sharpness": 0.5, "spectral_energy": 0.25, "kurtosis": 1.0, "diversity": 0.5}
    for name, value in expected.items():
        np.testing.assert_allclose(figures[name], value, rtol=2e-5, err_msg=name)


def test_units_do_not_matter():
    """Ratios in kelvin equal those of normalised frames in all digits."""
    target = clips((3, 2, 12, 16, 1))
    prediction = 0.7 * target + 0.1
    kelvin = evaluate(prediction, target, mean=278.0, std=21.0, data_range=(270.0, 310.0))
    for name, value in evaluate(prediction, target).items():
        np.testing.assert_allclose(kelvin[name], value, rtol=2e-5, err_msg=name)


def test_blur_lowers_spectral_energy_and_sharpness():
    target = clips((3, 2, 24, 24, 1))
    blurred = ndimage.gaussian_filter(target, (0, 0, 1, 1, 0))
    figures = evaluate(blurred, target)
    assert figures["spectral_energy"] < 0.1
    assert figures["sharpness"] < 0.5


def test_gradient_magnitude_of_a_step():
    # One vertical step edge of height 2 over 4 rows: 3 rows have both differences.
    step = jnp.zeros((4, 5, 1)).at[:, 2:].set(2.0)
    assert metrics.gradient_magnitude(step) == 6.0


@pytest.mark.parametrize("shape", [(16, 16), (9, 14), (15, 8)])
def test_fine_power_is_a_sum_of_ring_averages(shape):
    """Against the definition, ring by ring over the whole transform in float64."""
    frame = clips((*shape, 2))
    hann = [np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 2 for n in shape]
    expected = 0.0
    for channel in np.moveaxis(np.float64(frame), -1, 0):
        power = np.abs(np.fft.fft2((channel - channel.mean()) * np.outer(*hann))) ** 2
        radius = np.hypot(*np.meshgrid(*(np.fft.fftfreq(n) for n in shape), indexing="ij"))
        ring = np.round(radius * min(shape))
        for index in range(1, min(shape)):
            if 0.25 <= index / min(shape) <= 0.5:
                expected += power[ring == index].mean()
    np.testing.assert_allclose(metrics.fine_power(frame), expected, rtol=1e-5)


def test_only_waves_of_the_top_octave_count():
    x = np.arange(64)[None, :, None] + np.zeros((64, 1, 1))

    def power(cycles):
        return metrics.fine_power(jnp.asarray(np.cos(2 * np.pi * cycles * x), jnp.float32))

    assert power(0.375) > 1.0
    assert power(0.125) < 1e-6 * power(0.375)


def test_kurtosis_equals_scipy():
    prediction, target = clips((1, 1, 16, 16, 1), 1) ** 4, clips((1, 1, 16, 16, 1))
    expected = [stats.kurtosis(clip.ravel(), fisher=False) for clip in (prediction, target)]
    figures = evaluate(prediction, target, ("kurtosis",))
    np.testing.assert_allclose(figures["kurtosis"], expected[0] / expected[1], rtol=1e-5)


def test_diversity_is_the_distance_between_clips():
    """Against all pairs of clips at each step; the last batch is filled up."""
    prediction, target = clips((5, 3, 8, 8, 2), 1), clips((5, 3, 8, 8, 2), 2) * 2.0
    evaluator = Evaluator(("diversity",), keep_samples=True)
    evaluator.update(prediction[:4], target[:4])
    filled = (
        np.concatenate([clip[4:], np.full((1, 3, 8, 8, 2), np.nan, np.float32)])
        for clip in (prediction, target)
    )
    evaluator.update(*filled, valid=np.array([True, False]))

    def distances(clip):
        pairs = [clip[i] - clip[j] for i in range(5) for j in range(i)]
        return np.mean([(pair**2).sum((1, 2, 3)) for pair in pairs], 0)

    ratio = distances(prediction), distances(target)
    np.testing.assert_allclose(
        evaluator.per_frame()["diversity"], np.sqrt(ratio[0] / ratio[1]), rtol=1e-5
    )
    np.testing.assert_allclose(
        evaluator.compute()["diversity"], np.sqrt(ratio[0].mean() / ratio[1].mean()), rtol=1e-5
    )
    assert evaluator.per_sample() == {}


def test_collapse_has_no_diversity():
    target = clips((4, 2, 8, 8, 1))
    figures = evaluate(np.broadcast_to(target[:1], target.shape), target, ("diversity",))
    assert figures["diversity"] < 2e-3


def test_undefined_figures_are_nan():
    target = clips((1, 2, 8, 8, 1))
    assert np.isnan(evaluate(target, target, ("diversity",))["diversity"])
    flat = np.full_like(target, 0.5)
    figures = evaluate(flat, flat, ("sharpness", "spectral_energy", "kurtosis"))
    assert all(np.isnan(value) for value in figures.values())


def test_frames_without_enough_frequencies_are_refused():
    small = clips((1, 1, 7, 12, 1))
    with pytest.raises(ValueError, match="7x12; the spectrum needs at least 8x8"):
        evaluate(small, small, ("spectral_energy",))
