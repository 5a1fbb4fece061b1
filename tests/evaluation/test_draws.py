"""Figures of a model that draws futures, beside its point prediction."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_runs import moving_blobs

from pdr_jax.evaluation import draws
from pdr_jax.evaluation.figures import best_of
from pdr_jax.evaluation.measuring import measure
from pdr_jax.evaluation.prediction import predict_array, predict_file
from pdr_jax.metrics import frechet_distance

SAMPLES, SEED = 3, 5


class Walk(nn.Module):
    """The last frame repeated; a sample adds noise to it."""

    adapter = None
    probabilistic = True

    @nn.compact
    def __call__(self, frames, horizon):
        future = jnp.repeat(frames[:, -1:], horizon, axis=1)
        if not self.has_rng("sample"):
            return future
        return future + 0.2 * jax.random.normal(self.make_rng("sample"), future.shape)


def corners(clips):
    """Features of frames, as a network's would be: two pixels."""
    return clips[:, :, [2, 5], 3, 0]


@pytest.fixture(scope="module")
def task(finished):
    return finished[1]._replace(model=Walk())


@pytest.fixture(scope="module")
def rows(task):
    return measure(
        task,
        {},
        batch_size=3,
        label="walk",
        keep_samples=True,
        samples=SAMPLES,
        seed=SEED,
        thresholds=(100.0, 200.0),
        features={"corners": corners},
    )


def one_by_one(observed, ids):
    """Samples (n, clips, 2, H, W, C) of clips with these ids."""
    made = np.zeros((SAMPLES, len(ids), 2, *observed.shape[2:]), np.float32)
    for i, clip in enumerate(ids):
        key = jax.random.fold_in(jax.random.key(SEED), clip)
        for number in range(SAMPLES):
            own = {"sample": jax.random.fold_in(key, number)}
            made[number, i] = Walk().apply({}, observed[i : i + 1], 2, rngs=own)[0]
    return made


@pytest.fixture(scope="module")
def drawn(task):
    """Samples made one by one, the truth, and what was observed."""
    clips = [task.test[i] for i in range(len(task.test))]
    observed, target = task.clip.split(jnp.stack([clip["frames"] for clip in clips]))
    made = one_by_one(observed, [int(clip["id"]) for clip in clips])
    return made, np.asarray(target), np.asarray(observed)


def test_samples_have_a_row_of_their_own(rows):
    assert list(rows) == ["walk", "walk (3 samples)", "persistence"]
    point = rows["walk"].figures
    assert point == rows["persistence"].figures
    assert point["crps"] == pytest.approx(point["mae"] / 64, rel=1e-6)  # of 8x8 pixels
    assert point["crps"] == point["crps_ordinary"]
    assert not {"spread_skill", "psnr_best"} & point.keys()
    assert {"spread_skill", "psnr_best", "ssim_best"} <= rows["walk (3 samples)"].figures.keys()


def test_figures_of_samples_by_hand(rows, drawn):
    samples, target, _ = map(np.float64, drawn)
    figures = rows["walk (3 samples)"].figures
    pairs = np.abs(samples[:, None] - samples[None]).sum((0, 1)) / (2 * SAMPLES * (SAMPLES - 1))
    crps = np.abs(samples - target).mean(0) - pairs
    assert figures["crps"] == pytest.approx(crps.mean(), rel=1e-5)
    error = ((samples - target) ** 2).sum((-3, -2, -1)).mean(-1)  # of each sample of each clip
    assert figures["mse"] == pytest.approx(error.mean(), rel=1e-5)
    assert figures["mse_best"] == pytest.approx(error.min(0).mean(), rel=1e-5)
    curve = rows["walk (3 samples)"].per_frame["crps"]
    np.testing.assert_allclose(curve, crps.mean((0, 2, 3, 4)), rtol=1e-5)
    values = rows["walk (3 samples)"].values["mse"]
    each = ((samples - target) ** 2).sum((-3, -2, -1)).mean(0)
    np.testing.assert_allclose(values, each, rtol=1e-5)


def test_events_are_counted_over_all_samples_in_stored_units(rows, drawn):
    samples, target, _ = drawn
    details = rows["walk (3 samples)"].details
    for label, threshold in (("100", np.float32(100) / 255), ("200", np.float32(200) / 255)):
        forecast, observed = samples >= threshold, np.broadcast_to(target, samples.shape)
        observed = observed >= threshold
        expected = (forecast & observed).sum() / (forecast | observed).sum()
        assert details["events"][label]["csi"] == pytest.approx(expected)
        pixels = details["reliability"][label]["pixels"]
        assert pixels == np.bincount(forecast.sum(0).ravel(), minlength=4).tolist()
    assert sum(details["ranks"]) == pytest.approx(1)
    assert details["seed"] == SEED
    assert "csi_pool4" in rows["walk"].figures
    assert "csi_pool16" not in rows["walk"].figures  # frames have 8x8 pixels


def test_distances_are_of_all_samples_with_what_was_observed(rows, drawn):
    samples, target, observed = drawn

    def features(*futures):
        clips = np.concatenate([np.concatenate([observed, future], 1) for future in futures])
        return np.clip(corners(clips), 0, 1).reshape(-1, 2)

    expected = frechet_distance(features(*samples), features(target))
    assert rows["walk (3 samples)"].figures["corners"] == pytest.approx(expected, rel=1e-4)
    still = np.repeat(observed[:, -1:], 2, axis=1)
    expected = frechet_distance(features(still), features(target))
    assert rows["walk"].figures["corners"] == pytest.approx(expected, rel=1e-4)
    assert rows["persistence"].figures["corners"] == rows["walk"].figures["corners"]


def test_batches_and_devices_do_not_change_what_is_drawn(task, rows):
    again = measure(
        task,
        {},
        batch_size=8,
        devices=8,
        label="walk",
        controls=False,
        samples=SAMPLES,
        seed=SEED,
        speed=True,
    )
    assert list(again) == ["walk", "walk (3 samples)"]
    assert again["walk"].figures.pop("fps") > 0
    assert again["walk (3 samples)"].figures.pop("fps") > 0
    for name, value in again["walk (3 samples)"].figures.items():
        assert value == pytest.approx(rows["walk (3 samples)"].figures[name], rel=1e-5), name
    assert again["walk"].values == {}


def test_predictions_are_the_draws_of_clips_numbered_from_0(task, tmp_path):
    frames = moving_blobs(5, 2).astype(np.float32)
    expected = 255 * one_by_one(jnp.asarray(frames / 255), range(5))
    options = {"batch_size": 2, "seed": SEED}
    future = predict_array(task, {}, frames, samples=SAMPLES, **options)
    assert future.dtype == np.float32
    np.testing.assert_allclose(future, expected, atol=1e-3)
    one = predict_array(task, {}, frames, **options)
    np.testing.assert_allclose(one, expected[0], atol=1e-3)
    for clips, wanted in ((frames[:3], expected[:, :3]), (frames[0], expected[:, 0])):
        written = predict_file(task, {}, clips, tmp_path / "f.npy", samples=SAMPLES, **options)
        np.testing.assert_allclose(written, wanted, atol=1e-3)
        assert np.load(tmp_path / "f.npy").shape == wanted.shape
    frames[4] = np.nan
    with pytest.raises(ValueError, match="frames: clip 4 has values that are not finite"):
        predict_file(task, {}, frames, tmp_path / "g.npy", samples=SAMPLES, **options)
    assert [path.name for path in tmp_path.iterdir()] == ["f.npy"]


def test_a_model_that_draws_nothing_has_one_row(finished):
    assert not draws.can_draw(finished[1].model)
    assert draws.can_draw(Walk())


def test_the_best_of_n_is_chosen_for_each_clip_and_metric():
    values = {
        "mse": np.array([[1.0, 3.0], [4.0, 2.0], [np.nan, np.nan]]),
        "psnr": np.array([[20.0, 10.0], [10.0, 30.0], [np.nan, np.nan]]),
        "sharpness": np.ones((3, 2)),
    }
    assert best_of(values) == {"mse_best": 1.5, "psnr_best": 25.0}
