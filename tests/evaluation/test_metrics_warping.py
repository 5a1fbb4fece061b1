"""The temporal warping error: known motions, SciPy's interpolation, occlusion, OpenCV's flow."""

import sys

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from pdr_jax import metrics
from pdr_jax.metrics import Evaluator
from pdr_jax.warp import warp

NAMES = ("warping_error", "warping_ratio")
SIZE = 32


def texture(seed=0, size=64):
    smooth = ndimage.gaussian_filter(np.random.default_rng(seed).random((size, size)), 2)
    return np.float32((smooth - smooth.min()) / np.ptp(smooth))


def moving(step, length=3, seed=0):
    """A texture that moves `step` pixels a frame to the right: (1, T, SIZE, SIZE, 1)."""
    frames = [texture(seed)[:SIZE, 16 - step * t : 16 - step * t + SIZE] for t in range(length)]
    return np.stack(frames)[None, ..., None]


def uniform(dx):
    """A flow function for textures that move dx pixels to the right from first to second frames."""

    def flow(first, second):
        forward = (second[:, :, 5:-5] - first[:, :, 5 - dx : -5 - dx]).std() < 1e-6
        return np.broadcast_to(np.float32([dx if forward else -dx, 0]), (*first.shape[:3], 2))

    return flow


def evaluate(prediction, target, flow=None):
    evaluator = Evaluator(NAMES, flow=flow, keep_samples=True)
    evaluator.update(prediction, target)
    return evaluator


def test_warp_equals_scipy():
    rng = np.random.default_rng(0)
    frames = rng.random((2, 9, 12, 2), np.float32)
    flow = 4 * rng.standard_normal((2, 9, 12, 2), np.float32)
    y, x = np.mgrid[:9, :12]
    for n in range(2):
        position = [y + flow[n, ..., 1], x + flow[n, ..., 0]]
        for channel in range(2):
            expected = ndimage.map_coordinates(
                frames[n, ..., channel], position, order=1, mode="nearest"
            )
            actual = warp(frames, flow)[n, ..., channel]
            np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_the_right_motion_has_no_error():
    target = moving(2)
    figures = evaluate(target, target, uniform(2)).compute()
    np.testing.assert_allclose(figures["warping_error"], 0.0, atol=1e-10)


def test_wrong_motion_equals_the_definition():
    target, prediction = moving(2), moving(1, seed=1)
    evaluator = evaluate(prediction, target, uniform(2))
    # The last two columns come from outside the next frame: they count as occluded.
    p = np.float64(prediction[0, ..., 0])
    steps = [((p[t, :, :-2] - p[t + 1, :, 2:]) ** 2).mean() for t in range(2)]
    curve = evaluator.per_frame()["warping_error"]
    assert np.isnan(curve[0])
    np.testing.assert_allclose(curve[1:], steps, rtol=1e-4)
    np.testing.assert_allclose(evaluator.compute()["warping_error"], np.mean(steps), rtol=1e-4)
    np.testing.assert_allclose(evaluator.per_sample()["warping_error"], np.mean(steps), rtol=1e-4)


def test_occluded_pixels_are_left_out():
    """Each of Ruder et al.'s two conditions by itself, and sources outside the frame."""
    zero = jnp.zeros((1, 8, 8, 2))
    assert (metrics.occlusion_mask(zero, zero) == 1).all()
    # A flow that does not lead back.
    assert (metrics.occlusion_mask(zero + 1.0, zero + 1.0) == 0).all()
    # A jump of the flow by half a pixel between columns 3 and 4: a motion boundary.
    jump = zero.at[:, :, 4:, 1].set(0.5)
    mask = metrics.occlusion_mask(jump, zero)
    assert (mask[:, :, 3] == 0).all()
    assert (mask[:, :7, [0, 1, 2, 4, 5, 6, 7]] == 1).all()
    # Columns whose source lies outside the frame; rows move with the flow, too.
    right = zero.at[..., 0].set(3.0)
    mask = metrics.occlusion_mask(right, -right)
    assert (mask[:, :, :5] == 1).all()
    assert (mask[:, :, 5:] == 0).all()


def test_a_step_without_visible_pixels_does_not_count():
    def nowhere(first, second):
        return np.full((*first.shape[:3], 2), 1000.0, np.float32)

    target = moving(1)
    assert np.isnan(evaluate(target, target, nowhere).compute()["warping_error"])


def test_rafts_flow_has_figures_of_its_own():
    """Beside those of the other flow; both are computed alike."""

    def still(first, second):
        return np.zeros((*first.shape[:3], 2), np.float32)

    target, prediction = moving(2), moving(1, seed=1)
    figures = {}
    for name, flow in (("_raft", uniform(2)), ("", still)):
        expected = evaluate(prediction, target, flow).compute()
        figures |= {f"{key}{name}": value for key, value in expected.items()}
    both = Evaluator(NAMES + metrics.WARPING_RAFT, flow=still, raft=uniform(2))
    both.update(prediction, target)
    assert both.compute() == figures
    with pytest.raises(ValueError, match=r"'warping_error_raft' needs Evaluator\(..., raft=\)"):
        Evaluator(metrics.WARPING_RAFT)


def test_many_predictions_of_a_truth_need_its_flow_once():
    seen = []

    def counted(first, second):
        seen.append(len(first))
        return uniform(2)(first, second)

    evaluator = Evaluator(NAMES, flow=counted)
    for clips in (moving(2), moving(1), moving(1, seed=1)):
        before = len(seen)
        for prediction in (clips, clips[::-1].copy()):
            evaluator.update(prediction, clips)
        assert len(seen) == before + 2, "there and back"


def test_batches_and_padding_do_not_change_the_figures():
    target = np.concatenate([moving(2, seed=seed) for seed in range(3)])
    prediction = target[::-1].copy()
    whole = evaluate(prediction, target, uniform(2))
    batched = Evaluator(NAMES, flow=uniform(2))
    batched.update(prediction[:2], target[:2])
    batched.update(prediction[[2, 2]], target[[2, 2]], valid=np.array([True, False]))
    for name, value in whole.compute().items():
        np.testing.assert_allclose(batched.compute()[name], value, rtol=1e-5)


def test_nan_makes_its_step_nan():
    target = moving(2)
    prediction = target.copy()
    prediction[0, 2, 3, 3] = np.nan
    curve = evaluate(prediction, target, uniform(2)).per_frame()["warping_error"]
    assert np.isfinite(curve[1])
    assert np.isnan(curve[2])


def test_opencv_finds_the_motion():
    target = moving(1)
    flow = metrics.dis_flow()(target[:, 0], target[:, 1])
    np.testing.assert_allclose(np.median(flow, (0, 1, 2)), [1.0, 0.0], atol=0.1)


def test_opencvs_flow_tells_flicker_from_motion():
    target = moving(1)
    good = evaluate(target, target).compute()
    assert good["warping_error"] < 2e-4
    assert good["warping_ratio"] == 1.0
    flickering = target + 0.1 * np.array([0, 1, 0], np.float32).reshape(1, 3, 1, 1, 1)
    assert evaluate(flickering, target).compute()["warping_ratio"] > 10
    filled = np.concatenate([target, np.full_like(target, np.nan)])
    padded = Evaluator(NAMES)
    padded.update(filled, filled, valid=np.array([True, False]))
    assert padded.compute() == pytest.approx(good)


def test_frames_too_small_for_opencv_are_refused():
    target = moving(1)
    with pytest.raises(ValueError, match="8x32; this optical flow needs at least 12x12"):
        evaluate(target[:, :, :8], target[:, :, :8])


def test_without_opencv_the_error_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ImportError, match=r"pip install 'pdr-jax\[flow\]'; or give .*flow="):
        Evaluator(("warping_error",))
    Evaluator(("warping_error",), flow=uniform(1))


def test_a_flow_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"flow returned shape \(3,\); expected \(2, 32, 32, 2\)"):
        evaluate(moving(1), moving(1), lambda first, second: np.zeros(3))
