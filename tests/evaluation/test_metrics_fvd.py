"""Fréchet distances, and FVD's I3D against pytorch-i3d's recorded outputs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden_files import GOLDEN, relative_error
from scipy import linalg

from pdr_jax.metrics import Frechet, frechet_distance, i3d, perceptual
from pdr_jax.metrics.perceptual import st_lpips_alex

RECORDED = np.load(GOLDEN / "i3d.npz")


def closed_form(expected):
    """Weights that need no file: a hash of their position, for names in order."""
    arrays = {}
    for seed, (name, shape) in enumerate(sorted(expected.items())):
        index = np.arange(np.prod(shape), dtype=np.uint64) + np.uint64(1000 * seed)
        unit = (index * np.uint64(2654435761) % np.uint64(2**32)).reshape(shape) / 2.0**32
        if len(shape) == 5:
            unit = (unit - 0.5) * np.sqrt(24 / np.prod(shape[1:]))
        elif name.endswith(("bias", "mean")):
            unit = 0.2 * (unit - 0.5)
        else:
            unit = 0.5 + unit
        arrays[name] = np.float32(unit)
    return arrays


def by_square_root(x, y):
    """The formula as it is usually computed."""
    s1, s2 = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = linalg.sqrtm(s1 @ s2).real
    return ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(s1 + s2 - 2 * root)


def vectors(count, shift, seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 6)) @ rng.normal(size=(6, 6)) + shift


def test_the_distance_is_the_formula():
    x, y = vectors(40, 0.0, 0), vectors(25, 1.0, 1)
    assert frechet_distance(x, y) == pytest.approx(by_square_root(x, y), rel=1e-9)
    assert frechet_distance(y, x) == pytest.approx(frechet_distance(x, y), rel=1e-12)
    assert abs(frechet_distance(x, x)) < 1e-12 * np.trace(np.cov(x, rowvar=False))


def test_the_distance_of_two_normal_distributions():
    """In one dimension it is (m1 - m2)^2 + (s1 - s2)^2."""
    x = np.random.default_rng(0).normal(size=(30, 1))
    x = (x - x.mean()) / x.std(ddof=1)
    assert frechet_distance(3 * x + 5, x + 1) == pytest.approx(16 + 4)


def test_fewer_vectors_than_numbers_lose_no_digits():
    """Of rank 3 in 6 dimensions, where the root of the product has noise."""
    x, y = vectors(4, 0.0, 0), vectors(4, 1.0, 1)
    basis = np.linalg.qr(np.concatenate([x, y]).T - x.mean(0)[:, None])[0]
    assert frechet_distance(x @ basis, y @ basis) == pytest.approx(frechet_distance(x, y))
    assert abs(frechet_distance(x, x + 2.0) - 6 * 4) < 1e-10


@pytest.mark.parametrize(
    ("shapes", "message"),
    [(((5, 3), (5, 4)), "expected \\(n, D\\)"), (((1, 3), (5, 3)), "two vectors or more")],
)
def test_features_that_have_no_distance_are_refused(shapes, message):
    with pytest.raises(ValueError, match=message):
        frechet_distance(*(np.zeros(shape) for shape in shapes))


def test_batches_samples_and_a_second_predictor():
    """The truth is counted once; a frame's features are its corners here."""

    def corners(clips):
        return jnp.stack([clips[:, :, 0, 0, 0], clips[:, :, -1, -1, 0]], -1)

    rng = np.random.default_rng(0)
    observed, target, *samples = (
        np.float32(rng.uniform(-0.2, 1.2, (3, 2, 4, 4, 1))) for _ in range(4)
    )
    measured = Frechet("corners", corners, data_range=(-1.0, 3.0))
    for part in (slice(0, 2), slice(2, 3)):
        for number, sample in enumerate(samples):
            measured.update(sample[part], observed[part], target[part], truth=number == 0)

    def features(*futures):
        clips = [np.concatenate([observed, future], 1) for future in futures]
        frames = np.concatenate(clips).reshape(-1, 4, 4)
        return np.clip((frames[:, [0, -1], [0, -1]] + 1) / 4, 0, 1)

    expected = frechet_distance(features(*samples), features(target))
    assert measured.compute()["corners"] == pytest.approx(expected, rel=1e-5)
    assert measured.note == ""
    measured.reset()
    filled = np.array([True, True, False])
    measured.update(target, observed, target, filled)
    truth = features(target)
    kept = truth.reshape(3, 4, 2)[:2].reshape(-1, 2)
    assert measured.compute()["corners"] == pytest.approx(frechet_distance(kept, truth), rel=1e-5)
    few = Frechet("corners", corners)
    few.update(target[:1, :1], observed[:1, :0], np.full_like(target[:1, :1], np.nan))
    assert np.isnan(few.compute()["corners"])
    assert "1 vectors of 2 numbers" in few.note


def test_frames_are_resized_as_in_pytorch():
    small = np.float32(0.5 + 0.5 * np.sin(np.arange(9 * 20 * 24).reshape(9, 20, 24, 1) * 0.37))
    got = jax.jit(i3d.resized)(small[:1])
    np.testing.assert_allclose(got[0, ::16, ::16, 0], RECORDED["resized"], atol=1e-5)


def test_the_arrays_are_those_of_the_public_module():
    expected = [f"{name} {shape}" for name, shape in sorted(i3d.expected_arrays().items())]
    assert expected == RECORDED["names"].tolist()


@pytest.mark.rest
def test_i3d_gives_the_recorded_outputs(tmp_path):
    """Activations of a small clip, the head alone, and logits of a clip that is resized."""
    arrays = closed_form(i3d.expected_arrays())
    np.savez(tmp_path / "i3d.npz", **arrays)
    features = i3d.load_fvd(tmp_path / "i3d.npz")
    (trained,) = features.args
    network = i3d.I3D()
    clip = 2 * np.float32(RECORDED["clip"] / 255) - 1
    trunk = jax.jit(lambda v, x: network.apply(v, x, method="trunk"))(trained, clip)
    assert relative_error(trunk, RECORDED["trunk"]) < 1e-5
    wave = np.float32(0.5 + 0.5 * np.sin(0.37 * np.arange(3 * 7 * 7 * 1024)))
    head = network.apply(trained, jnp.asarray(wave.reshape(1, 3, 7, 7, 1024)), method="head")
    assert relative_error(head, RECORDED["head"]) < 1e-5
    small = np.float32(0.5 + 0.5 * np.sin(np.arange(9 * 20 * 24).reshape(1, 9, 20, 24, 1) * 0.37))
    logits = jax.jit(lambda f, x: f(x))(features, small)
    assert logits.shape == (1, 1, 400)
    assert relative_error(logits[:, 0], RECORDED["logits"]) < 1e-4
    for refused, message in (
        (small[:, :8], "8 frames, observed ones included; FVD takes 9 or more"),
        (small.repeat(2, -1), "2 channels; FVD takes 1"),
    ):
        with pytest.raises(ValueError, match=message):
            features(jnp.asarray(refused))


def test_weights_that_are_no_state_dict_are_refused(tmp_path):
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(
        ValueError, match=r"lacks Conv3d_1a_7x7.*rgb_imagenet\.pt.*torch\.jit\.load"
    ):
        i3d.load_fvd(tmp_path / "other.npz")


@pytest.mark.rest
def test_features_of_frames_by_st_lpips(tmp_path):
    """They are the means of the last activations; equal frames have equal features."""
    rng = np.random.default_rng(0)
    arrays = {
        name: np.float32(rng.normal(size=shape) / np.sqrt(np.prod(shape[1:])))
        for name, shape in st_lpips_alex.expected_arrays().items()
    }
    np.savez(tmp_path / "weights.npz", **arrays)
    features = perceptual.load_st_lpips_features(tmp_path / "weights.npz")
    frame = np.float32(rng.random((1, 1, 21, 21, 1)))
    got = features(jnp.asarray(np.concatenate([frame, frame * 0.5, frame], 1)))
    assert got.shape == (1, 3, 256)
    np.testing.assert_array_equal(got[0, 0], got[0, 2])
    assert np.abs(got[0, 0] - got[0, 1]).max() > 1e-3
    with pytest.raises(ValueError, match="2 channels"):
        features(jnp.zeros((1, 1, 21, 21, 2)))
