"""ST-LPIPS: the original's figure for closed-form weights, properties, refusals.

Where the trained weights are at hand also the distances of the authors' example images.
"""

import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdr_jax import perceptual
from pdr_jax.metrics import Evaluator

WEIGHTS = os.environ.get("PDR_ST_LPIPS_WEIGHTS")
EXAMPLES = os.environ.get("PDR_ST_LPIPS_EXAMPLES")


def closed_form(expected):
    """Weights without a file: a multiplicative hash of the position, variance-preserving."""
    arrays = {}
    for seed, (name, shape) in enumerate(expected.items()):
        index = np.arange(np.prod(shape), dtype=np.uint64) + np.uint64(1000 * seed)
        hashed = index * np.uint64(2654435761) % np.uint64(2**32)
        unit = hashed.reshape(shape) / 2.0**32
        if not name.startswith("lin"):
            unit -= 0.5
        if len(shape) == 4 and not name.startswith("lin"):
            unit *= np.sqrt(24 / np.prod(shape[1:]))
        arrays[name] = np.float32(unit)
    return arrays


def image(height, width, channels, phase):
    y, x, k = np.mgrid[:height, :width, :channels]
    wave = np.sin(0.3 * x + 0.05 * x * y / 8 + k + phase) * np.cos(0.2 * y - phase)
    return np.float32(0.5 + 0.5 * wave)


@pytest.fixture
def narrow():
    """A network of the same architecture, cheap enough for many small questions."""
    rng = np.random.default_rng(0)
    widths, params = (3, 4, 6, 8, 5, 5), {}
    for layer, k in enumerate((11, 5, 3, 3, 3)):
        shape = (k, k, widths[layer], widths[layer + 1])
        params[f"kernel{layer}"] = jnp.asarray(rng.standard_normal(shape), jnp.float32) / k
        params[f"bias{layer}"] = jnp.zeros(shape[-1])
        params[f"weight{layer}"] = jnp.asarray(rng.random(shape[-1]), jnp.float32)
    return jax.tree_util.Partial(jax.jit(perceptual.st_lpips), params)


def test_equals_the_original_with_closed_form_weights(tmp_path):
    """1.2156963 is the PyTorch package's output (torch 2, CPU) for these weights and images."""
    path = tmp_path / "weights.npz"
    np.savez(path, **closed_form(perceptual.expected_arrays()))
    distance = perceptual.load_st_lpips_alex(path)
    actual = distance(image(33, 40, 1, 0.0), image(33, 40, 1, 0.7))
    np.testing.assert_allclose(actual, 1.2156963, rtol=2e-6)


def test_equal_images_symmetry_and_shapes(narrow):
    p, y = (np.stack([image(24, 21, 3, i + phase) for i in range(6)]) for phase in (0.0, 0.4))
    p, y = p.reshape(2, 3, 24, 21, 3), y.reshape(2, 3, 24, 21, 3)
    distance = narrow(p, y)
    assert distance.shape == (2, 3)
    assert (distance > 1e-3).all()
    np.testing.assert_allclose(narrow(y, p), distance, rtol=1e-5)
    assert (jnp.abs(narrow(p, p)) < 1e-10).all()
    assert narrow(p[:0], y[:0]).shape == (0, 3)


def test_grey_is_repeated_to_rgb(narrow):
    p, y = image(24, 21, 1, 0.0)[None], image(24, 21, 1, 0.5)[None]
    rgb = narrow(p.repeat(3, -1), y.repeat(3, -1))
    np.testing.assert_allclose(narrow(p, y), rgb, rtol=1e-6)


def test_chunks_do_not_change_the_distances(narrow, monkeypatch):
    p, y = (np.stack([image(21, 21, 1, i + phase) for i in range(5)]) for phase in (0.0, 0.4))
    whole = narrow(p, y)
    monkeypatch.setattr(perceptual, "_CHUNK_PIXELS", 2 * 21 * 21)
    np.testing.assert_allclose(perceptual.st_lpips(*narrow.args, p, y), whole, rtol=1e-5)


def test_a_shift_costs_less_than_a_new_texture(narrow):
    rng = np.random.default_rng(1)
    big = rng.random((33, 33, 1), np.float32)
    other = rng.random((32, 32, 1), np.float32)
    shifted = narrow(big[1:, 1:], big[:-1, :-1])
    assert shifted < 0.8 * narrow(big[1:, 1:], other)


def test_flat_images_have_a_finite_gradient(narrow):
    flat = jnp.full((1, 21, 21, 1), 0.5)
    gradient = jax.grad(lambda p: narrow(p, flat).sum())(flat * 0.0)
    assert jnp.isfinite(gradient).all()


def test_as_a_metric(narrow):
    p, y = (np.stack([image(21, 21, 1, i + phase) for i in range(6)]) for phase in (0.0, 0.4))
    p, y = p.reshape(2, 3, 21, 21, 1), y.reshape(2, 3, 21, 21, 1)
    evaluator = Evaluator(("mse",), extra={"st_lpips_alex": narrow})
    evaluator.update(p, y)
    expected = np.asarray(narrow(p, y))
    np.testing.assert_allclose(evaluator.compute()["st_lpips_alex"], expected.mean(), rtol=1e-5)
    np.testing.assert_allclose(evaluator.per_frame()["st_lpips_alex"], expected.mean(0), rtol=1e-5)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((21, 21, 2), (21, 21, 2)), "2 channels"),
        (((20, 21, 1), (20, 21, 1)), "20x21; ST-LPIPS needs at least 21x21"),
        (((21, 21, 1), (21, 21, 3)), "equal shapes"),
    ],
)
def test_frames_it_cannot_take_are_refused(shapes, message, narrow):
    with pytest.raises(ValueError, match=message):
        narrow(*(np.zeros(shape, np.float32) for shape in shapes))


def test_incomplete_weights_are_refused(tmp_path):
    arrays = {name: np.zeros(shape) for name, shape in perceptual.expected_arrays().items()}
    removed = arrays.pop("lin4.model.1.weight")
    np.savez(tmp_path / "missing.npz", **arrays)
    with pytest.raises(ValueError, match=r"lacks lin4\.model\.1\.weight; expected .*slice1\.0"):
        perceptual.load_st_lpips_alex(tmp_path / "missing.npz")
    arrays["lin4.model.1.weight"] = removed[:, :7]
    np.savez(tmp_path / "shape.npz", **arrays)
    with pytest.raises(ValueError, match=r"shape \(1, 7, 1, 1\); expected \(1, 256, 1, 1\)"):
        perceptual.load_st_lpips_alex(tmp_path / "shape.npz")
    with pytest.raises(FileNotFoundError):
        perceptual.load_st_lpips_alex(tmp_path / "absent.npz")


@pytest.mark.skipif(
    not (WEIGHTS and EXAMPLES),
    reason="set PDR_ST_LPIPS_WEIGHTS to the .npz of stlpips-pytorch's AlexNet and "
    "PDR_ST_LPIPS_EXAMPLES to a folder with its example images st_lpips_{ref,p0,p1}.png",
)
def test_distances_of_the_authors_examples():
    import imageio.v3 as iio

    ref, p0, p1 = (
        np.float32(iio.imread(Path(EXAMPLES) / f"st_lpips_{name}.png")) / 255
        for name in ("ref", "p0", "p1")
    )
    distance = perceptual.load_st_lpips_alex(WEIGHTS)
    np.testing.assert_allclose(distance(p0, ref), 0.7777555, rtol=1e-6)
    np.testing.assert_allclose(distance(p1, ref), 0.1320, atol=5e-5)
