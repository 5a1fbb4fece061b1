"""Missing pixels of targets, NaN, in losses and clips."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pallas_kernels.ssim import ssim_map, uniform_window, whole_windows
from pdr_datasets import Units
from pdr_jax import backbones, losses
from pdr_jax.pdr import PDR
from pdr_jax.sharding import averaged_over_devices, make_mesh, shard_batch, traced_for
from pdr_jax.train import ClipSpec, init_state, train_step

RNG = np.random.default_rng(0)
PREDICTION, TARGET = RNG.random((2, 8, 3, 12, 12, 1), np.float32)
HOLED = TARGET.copy()
HOLED[0, 0, :4, 2:9] = HOLED[1, 2] = HOLED[3] = np.nan


def value_and_grad(name, target, **options):
    loss = losses.create(name, **options)
    return jax.jit(jax.value_and_grad(loss))(PREDICTION, target)


@pytest.mark.parametrize("name", ["l1", "l1_ssim"])
def test_nothing_missing_changes_nothing(name):
    value, gradient = value_and_grad(name, TARGET)
    masked, its_gradient = value_and_grad(name, TARGET, missing=True)
    np.testing.assert_allclose(masked, value, rtol=1e-6)
    np.testing.assert_allclose(its_gradient, gradient, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("name", [name for name in losses.LOSSES if name != "l1"])
def test_what_is_missing_has_a_finite_gradient(name):
    value, gradient = value_and_grad(name, HOLED, missing=True)
    there = ~np.isnan(HOLED)
    error = PREDICTION[there] - HOLED[there]
    assert np.isfinite(gradient).all()
    if name in ("mse", "mse_l1"):
        expected = np.mean(error**2) + (np.mean(np.abs(error)) if name == "mse_l1" else 0)
        np.testing.assert_allclose(value, expected, rtol=1e-6)
    if name in ("mse", "mse_l1", "l1_ssim"):
        assert not gradient[~there].any()
        assert gradient[there].all()


def test_ssim_leaves_out_windows_that_touch_a_missing_pixel():
    windows = (uniform_window(3),) * 2

    @jax.jit
    def found(target):
        valid = ~jnp.isnan(target)
        similarity = ssim_map(PREDICTION, jnp.nan_to_num(target), windows=windows)
        return similarity, *(whole_windows(valid, windows, side) for side in ("valid", "same"))

    similarity, whole, same = found(HOLED)
    there = ~np.isnan(HOLED)
    expected = np.lib.stride_tricks.sliding_window_view(there, (3, 3), (2, 3)).all((-1, -2))
    np.testing.assert_array_equal(whole, expected)
    np.testing.assert_array_equal(same[..., 1:-1, 1:-1, :], whole)
    assert same[2].all()
    np.testing.assert_allclose(similarity[expected], found(TARGET)[0][expected], atol=1e-5)


def test_nothing_there_is_no_loss():
    value, gradient = value_and_grad("l1_ssim", np.full_like(TARGET, np.nan), missing=True)
    assert value == 0
    assert not gradient.any()


def test_devices_share_one_mean():
    """Devices hold different numbers of pixels, one of them none, and two have no whole window."""
    loss = losses.create("l1_ssim", missing=True)

    def step(prediction, clips):
        return jax.value_and_grad(lambda scale: loss(scale * clips[0], clips[1]))(prediction)

    mesh = make_mesh(8)
    shared = jax.jit(traced_for(mesh, averaged_over_devices(step)))
    found = shared(0.9, (shard_batch(mesh, PREDICTION), shard_batch(mesh, HOLED)))
    expected = jax.jit(step)(0.9, (PREDICTION, HOLED))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_the_model_sees_a_fill():
    stored = np.array([7, 3, 255, 255], np.uint8).reshape(1, 4, 1, 1, 1)
    clip = functools.partial(ClipSpec, 3, 1, Units(0.0, 1.0, missing=255))
    observed, target = clip(-0.5).split(stored)
    np.testing.assert_array_equal(np.ravel(observed), [7, 3, -0.5])
    assert np.isnan(np.ravel(target)).all()
    frames = jnp.ones((1, 4, 1, 1, 1))
    assert "isnan" not in str(jax.make_jaxpr(ClipSpec(3, 1, Units()).split)(frames))
    assert "ne" in str(jax.make_jaxpr(ClipSpec(3, 1, Units(), 0.0).split)(frames))


def test_observed_frames_that_are_predicted_keep_what_is_missing():
    """A recurrent backbone's own frames are compared with the truth, not with the fill."""
    backbone = backbones.create("convlstm", (3, 4, 4, 1), num_hidden=(2,), patch_size=2)
    clip, tx = ClipSpec(3, 1, Units(), 0.0), optax.sgd(1.0)
    frames = np.zeros((1, 4, 4, 4, 1), np.float32)
    frames[0, 0, 0] = frames[0, 2, :2] = frames[0, 3, 3] = np.nan  # 4, 8 and 4 pixels

    def counted(prediction, target):
        return jnp.isnan(target).sum() + 0 * prediction.sum()

    state = init_state(PDR(backbone), tx, frames, clip=clip, seed=0)
    step = functools.partial(train_step, model=PDR(backbone), loss=counted, tx=tx, clip=clip)
    assert jax.jit(step)(state, frames)[1]["loss"] == 12
