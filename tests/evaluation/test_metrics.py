"""Metrics: OpenSTL's recorded figures, scikit-image, closed forms, streaming, refusals."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from skimage.metrics import structural_similarity

from pdr_jax import metrics
from pdr_jax.metrics import Evaluator

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "metrics.npz")


def golden_clips(name):
    return (np.moveaxis(GOLDEN[f"{name}/{key}"], 2, -1) for key in ("pred", "true"))


def clips(shape, seed=0):
    rng = np.random.default_rng(seed)
    target = rng.random(shape, np.float32)
    return target + 0.1 * rng.standard_normal(shape, np.float32), target


def evaluate(prediction, target, names, **options):
    evaluator = Evaluator(names, **options)
    evaluator.update(prediction, target)
    return evaluator.compute()


# All but those that need OpenCV or a map, which have files of their own.
NAMES = tuple(name for name, metric in metrics.METRICS.items() if not metric.needs)


@pytest.mark.parametrize("name", ["taxibj", "human", "kth", "mmnist"])
def test_equals_openstl(name):
    names = ("mse", "mae", "rmse", "psnr", "ssim", "snr", "ssim_range1")
    figures = evaluate(*golden_clips(name), names)
    expected = {key: float(GOLDEN[f"{name}/{key}"]) for key in names[:-1]}
    if name == "taxibj":
        expected["ssim_range1"] = float(GOLDEN["taxibj/ssim_data_range1"])
    for key, value in expected.items():
        np.testing.assert_allclose(figures[key], value, rtol=2e-6, err_msg=key)


def test_equals_openstl_averaged_over_space():
    figures = evaluate(*golden_clips("taxibj"), ("mse", "mae", "rmse"), spatial_norm=True)
    for key, value in figures.items():
        np.testing.assert_allclose(value, GOLDEN[f"taxibj_spatialnorm/{key}"], rtol=2e-6)


def test_equals_openstl_in_kelvin():
    mean, std = (float(GOLDEN[f"weather_t2m_5_625/{key}"].item()) for key in ("mean", "std"))
    figures = evaluate(
        *golden_clips("weather_t2m_5_625"),
        ("mse", "mae", "rmse"),
        spatial_norm=True,
        mean=mean,
        std=std,
    )
    for key, value in figures.items():
        np.testing.assert_allclose(value, GOLDEN[f"weather_t2m_5_625/{key}"], rtol=2e-6)


def test_equals_openstl_for_groups_of_channels():
    figures = evaluate(
        *golden_clips("mv"), ("mse", "mae", "rmse"), spatial_norm=True, channel_names=("r", "t")
    )
    assert len(figures) == 9
    for key, value in figures.items():
        np.testing.assert_allclose(value, GOLDEN[f"mv/{key}"], rtol=2e-6, err_msg=key)


def test_ssim_of_each_frame_equals_openstl():
    prediction, target = golden_clips("taxibj")
    np.testing.assert_allclose(
        metrics.ssim(np.clip(prediction, 0, 1), target), GOLDEN["taxibj/ssim_per_frame"], atol=1e-6
    )


def test_gaussian_ssim_equals_scikit_image():
    prediction, target = clips((1, 2, 16, 20, 2))
    expected = [
        structural_similarity(
            np.clip(p, 0, 1),
            y,
            data_range=1.0,
            channel_axis=-1,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        for p, y in zip(prediction[0], target[0], strict=True)
    ]
    figures = evaluate(prediction, target, ("ssim_gaussian",))
    np.testing.assert_allclose(figures["ssim_gaussian"], np.mean(expected), atol=1e-5)


def test_psnr_in_uint8_is_the_papers_arithmetic():
    """Against NumPy's uint8, which wraps around; so nearer the truth may score lower."""
    prediction, target = clips((2, 3, 8, 9, 2))
    levels = np.arange(144, dtype=np.float32).reshape(8, 9, 2) / np.float32(255)
    target[0, 0] = levels  # stored levels come back as themselves, or as NumPy cuts them
    prediction[1] += 0.3
    expected = []
    for p, y in zip(np.clip(prediction, 0, 1).reshape(6, -1), target.reshape(6, -1), strict=True):
        square = (np.uint8(p * 255) - np.uint8(y * 255)) ** 2
        assert square.dtype == np.uint8
        expected.append(20 * np.log10(255) - 10 * np.log10(square.mean()))
    evaluator = Evaluator(("psnr", "psnr_uint8"), keep_samples=True)
    evaluator.update(prediction, target)
    frames = evaluator.per_sample_frame()
    np.testing.assert_allclose(frames["psnr_uint8"].ravel(), expected, rtol=1e-6)
    assert frames["psnr_uint8"][1].min() > frames["psnr"][1].max() + 6
    near, far = (metrics.psnr_uint8(levels, levels + k / 255) for k in (8.5, 16.5))
    assert near < far == np.inf


def test_denormalisation_and_data_range():
    """Against the protocol in float64: errors in kelvin, psnr relative to the range."""
    prediction, target = clips((2, 3, 8, 9, 2))
    mean, std, low, high = np.array([278.5, 280.0]), np.array([21.25, 3.0]), 270.0, 310.0
    figures = evaluate(
        prediction,
        target,
        ("mse", "mae", "psnr"),
        spatial_norm=True,
        mean=mean,
        std=std,
        data_range=(low, high),
    )
    p, y = (np.float64(a) * std + mean for a in (prediction, target))
    np.testing.assert_allclose(figures["mse"], ((p - y) ** 2).mean(), rtol=1e-5)
    np.testing.assert_allclose(figures["mae"], np.abs(p - y).mean(), rtol=1e-5)
    error = (np.clip(p, low, high) - y) ** 2 / (high - low) ** 2
    psnr = -10 * np.log10(error.mean((-3, -2, -1)))
    np.testing.assert_allclose(figures["psnr"], psnr.mean(), rtol=1e-5)


def test_a_data_range_for_each_channel():
    """Each channel's range is its own [0, 1]."""
    prediction, target = clips((2, 3, 8, 9, 2))
    low, high = np.array([0.0, -1.0]), np.array([0.5, 3.0])
    names = ("mse", "psnr", "ssim_range1")
    figures = evaluate(prediction, target, names, data_range=(low, high))
    scaled = (np.float32((a - low) / (high - low)) for a in (prediction, target))
    expected = evaluate(*scaled, names)
    for name in names[1:]:
        np.testing.assert_allclose(figures[name], expected[name], rtol=1e-5)
    assert figures["mse"] == evaluate(prediction, target, names)["mse"]


def test_sums_over_large_frames_keep_their_digits():
    prediction, target = clips((1, 1, 256, 256, 3))
    figures = evaluate(prediction, target, ("mse", "mae"))
    error = np.float64(prediction) - np.float64(target)
    np.testing.assert_allclose(figures["mse"], (error**2).sum(), rtol=2e-6)
    np.testing.assert_allclose(figures["mae"], np.abs(error).sum(), rtol=2e-6)


@pytest.fixture(scope="module")
def whole():
    """An evaluator that has seen five clips of three frames in one batch."""
    evaluator = Evaluator(NAMES, keep_samples=True)
    evaluator.update(*clips((5, 3, 12, 12, 1)))
    return evaluator


def test_batches_and_padding_do_not_change_the_figures(whole):
    prediction, target = clips((5, 3, 12, 12, 1))
    batched = Evaluator(NAMES, keep_samples=True)
    for start in (0, 2, 4):
        part = slice(start, start + 2)
        padded = [np.full((2, *prediction.shape[1:]), np.nan, np.float32) for _ in range(2)]
        valid = np.arange(2) < len(prediction[part])
        padded[0][valid], padded[1][valid] = prediction[part], target[part]
        batched.update(*padded, valid=valid)
    assert batched.count == whole.count == 5
    for figures in ("compute", "per_frame", "per_sample", "per_sample_frame"):
        expected = getattr(whole, figures)()
        for name, value in getattr(batched, figures)().items():
            np.testing.assert_allclose(value, expected[name], rtol=2e-6, err_msg=name)


def test_figures_of_clips_and_frames_fit_together(whole):
    assert set(whole.compute()) == set(whole.per_frame()) == set(NAMES)
    # One clip has no diversity.
    assert set(whole.per_sample()) == set(NAMES) - {"diversity"}
    assert whole.per_frame()["mse"].shape == (3,)
    assert whole.per_sample()["mse"].shape == (5,)
    frames = whole.per_sample_frame()
    assert frames["mse"].shape == (5, 3)
    np.testing.assert_allclose(frames["mse"].mean(1), whole.per_sample()["mse"])
    np.testing.assert_allclose(frames["psnr"].mean(0), whole.per_frame()["psnr"])
    np.testing.assert_allclose(frames["rmse"], np.sqrt(frames["mse"]))
    np.testing.assert_allclose(whole.per_frame()["psnr"].mean(), whole.compute()["psnr"])
    # One square root at the end: not the mean of the roots.
    np.testing.assert_allclose(whole.compute()["rmse"] ** 2, whole.compute()["mse"])


def test_reset_forgets_the_batches():
    evaluator = Evaluator(("mse",))
    evaluator.update(FRAMES, FRAMES)
    evaluator.reset()
    with pytest.raises(ValueError, match="call update"):
        evaluator.compute()


def test_perfect_predictions():
    _, target = clips((2, 2, 12, 12, 1))
    perfect = evaluate(target, target, ("mse", "psnr", "ssim", "snr"))
    assert perfect["mse"] == 0.0
    assert perfect["psnr"] == perfect["snr"] == np.inf
    np.testing.assert_allclose(perfect["ssim"], 1.0, atol=1e-6)


def test_nan_makes_the_figures_of_its_step_nan():
    prediction, target = clips((2, 2, 12, 12, 1))
    prediction[1, 1, 0, 0, 0] = np.nan
    evaluator = Evaluator(NAMES)
    evaluator.update(prediction, target)
    assert all(np.isnan(value) for value in evaluator.compute().values())
    for curve in evaluator.per_frame().values():
        assert np.isfinite(curve[0])
        assert np.isnan(curve[1])


def test_extra_metric_sees_clipped_unit_frames():
    prediction, target = clips((1, 2, 4, 4, 1))

    def largest(p, y):
        return jnp.maximum(p.max((2, 3, 4)), 0 * y.max((2, 3, 4)))

    figures = evaluate(prediction + 5.0, target, ("mse",), extra={"largest": largest})
    assert list(figures) == ["mse", "largest"]
    assert figures["largest"] == 1.0


def test_every_metric_has_a_direction():
    assert set(metrics.METRICS) <= set(metrics.BETTER)
    assert metrics.BETTER["mse"] == "lower"
    assert metrics.BETTER["psnr"] == "higher"
    assert metrics.BETTER["sharpness"] == "one"
    sets = (metrics.DEFAULT, metrics.DETAIL, metrics.WARPING, metrics.WARPING_RAFT, metrics.WEATHER)
    assert {name for names in sets for name in names} <= set(metrics.METRICS)


FRAMES = np.zeros((2, 3, 8, 8, 2), np.float32)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Evaluator(("lpips",)), ValueError, "unknown metric 'lpips'.*mse, mae"),
        (lambda: Evaluator(("mse", "mae", "mse")), ValueError, "'mse' is named twice"),
        (lambda: Evaluator(extra={"mse": metrics.mse}), ValueError, "rename it"),
        (lambda: Evaluator(data_range=(1.0, 0.0)), ValueError, "low < high"),
        (
            lambda: Evaluator(data_range=(np.zeros(2), np.array([1, 0]))),
            ValueError,
            "low < high",
        ),
        (
            lambda: Evaluator(data_range=(np.zeros(3), np.ones(3))).update(FRAMES, FRAMES),
            ValueError,
            "data_range has shape .3,.; .*2 channels",
        ),
        (lambda: Evaluator().compute(), ValueError, "call update"),
        (lambda: Evaluator().per_sample(), ValueError, "keep_samples"),
        (lambda: Evaluator(keep_samples=True).per_sample_frame(), ValueError, "call update"),
        (lambda: Evaluator().update(FRAMES, FRAMES[:1]), ValueError, r"expected \(B, T, H, W, C\)"),
        (lambda: Evaluator().update(FRAMES[0], FRAMES[0]), ValueError, r"\(B, T, H, W, C\)"),
        (lambda: Evaluator().update(FRAMES, np.uint8(FRAMES)), TypeError, "target is uint8"),
        (
            lambda: Evaluator().update(FRAMES, FRAMES, valid=np.ones(3, bool)),
            ValueError,
            r"expected bool \(2,\)",
        ),
        (lambda: Evaluator(std=np.ones(3)).update(FRAMES, FRAMES), ValueError, "2 channels"),
        (
            lambda: Evaluator(channel_names=("a", "b", "c")).update(FRAMES, FRAMES),
            ValueError,
            "3 equal groups",
        ),
        (
            lambda: Evaluator(("ssim_gaussian",)).update(FRAMES, FRAMES),
            ValueError,
            "8x8; this SSIM needs at least 11x11",
        ),
    ],
)
def test_bad_input_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_clips_of_another_length_are_refused():
    evaluator = Evaluator(("mse",))
    evaluator.update(FRAMES, FRAMES)
    with pytest.raises(ValueError, match="2 frames after clips of 3"):
        evaluator.update(FRAMES[:, :2], FRAMES[:, :2])
    assert evaluator.count == 2
