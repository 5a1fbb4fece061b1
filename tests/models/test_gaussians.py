import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pallas_kernels import splat2d
from pallas_kernels.splat2d.grid_sample import grid_sample
from pdr_jax.gaussians import Gaussians2D, activate_rotation, activate_scale


def some_gaussians(height=24, width=32, window=15, count=5, channels=2, seed=0):
    keys = jax.random.split(jax.random.key(seed), 4)
    return Gaussians2D(
        mean=jax.random.uniform(keys[0], (2, count, 2), minval=-0.8, maxval=0.8),
        scale=jax.random.uniform(keys[1], (2, count, 2), minval=0.4, maxval=0.9),
        rotation=jax.random.uniform(keys[2], (2, count), minval=-1.5, maxval=1.5),
        amplitude=jax.random.normal(keys[3], (2, count, channels)),
        height=height,
        width=width,
        window=window,
    )


def test_units():
    corners = Gaussians2D(
        mean=jnp.asarray([[-1.0, -1.0], [1.0, 1.0], [0.0, 0.0]]),
        scale=jnp.full((3, 2), 0.5),
        rotation=jnp.zeros(3),
        amplitude=jnp.ones((3, 1)),
        height=24,
        width=32,
        window=51,
    )
    mean, scale, _, _ = corners.pixels()
    # The outer edges of the frame are half a pixel outside the border pixels' centres.
    np.testing.assert_allclose(mean, [[-0.5, -0.5], [31.5, 23.5], [15.5, 11.5]])
    np.testing.assert_allclose(scale, 0.5 * (51 - 1) / 10)


def test_from_pixels_is_the_inverse_of_pixels():
    gaussians = some_gaussians()
    again = Gaussians2D.from_pixels(*gaussians.pixels(), height=24, width=32, window=15)
    for ours, theirs in zip(jax.tree.leaves(gaussians), jax.tree.leaves(again), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    with pytest.raises(ValueError, match="window=4"):
        Gaussians2D.from_pixels(*gaussians.pixels(), height=24, width=32, window=4)


@pytest.mark.parametrize("zoom", [2, 3])
def test_render_at_a_multiple_of_the_resolution(zoom):
    """Averaging a finer drawing over its pixels comes close to the coarse drawing."""
    gaussians = some_gaussians(window=31)
    fine = gaussians.render(24 * zoom, 32 * zoom)
    coarse = fine.reshape(2, 24, zoom, 32, zoom, 2).mean((2, 4))
    drawn = gaussians.render()
    assert drawn.shape == (2, 24, 32, 2)
    np.testing.assert_allclose(coarse, drawn, atol=0.05 * float(jnp.abs(drawn).max()))
    assert float(jnp.abs(coarse).max()) > 0.5


def test_render_with_another_aspect_ratio_stretches_the_picture():
    gaussians = some_gaussians(window=31)
    stretched = gaussians.render(24, 96)
    # The centre column of each three lies where the square drawing's column lies.
    np.testing.assert_allclose(stretched[:, :, 1::3], gaussians.render(), atol=1e-4)


def one_gaussian(scale, rotation, dtype=jnp.float32):
    shapes = {"mean": (1, 2), "amplitude": (1, 1)}
    return Gaussians2D(
        **{name: jnp.full(shape, 0.25, dtype) for name, shape in shapes.items()},
        scale=jnp.asarray([scale], dtype),
        rotation=jnp.asarray([rotation], dtype),
        height=16,
        width=16,
        window=15,
    )


@pytest.mark.parametrize("thin", [1.0, 1e-1, 1e-3, 1e-5])
def test_a_stretched_covariance_is_the_stretch_of_the_covariance(thin):
    rotation, (height, width) = 0.3, (32, 48)
    _, scale, angle, _ = one_gaussian((0.9, 0.9 * thin), rotation).pixels(height, width)
    turn = np.array([[np.cos(rotation), -np.sin(rotation)], [np.sin(rotation), np.cos(rotation)]])
    factor = np.diag([width / 16, height / 16]) @ turn @ np.diag([0.9 * 1.4, 0.9 * thin * 1.4])
    axes, true, _ = np.linalg.svd(factor)
    np.testing.assert_allclose(scale[0], true, rtol=1e-5)
    assert abs(np.sin(float(angle[0]) - np.arctan2(*axes[::-1, 0]))) < 1e-5


@pytest.mark.parametrize("scale", [(0.5 * 32 / 48, 0.5), (0.5, 0.5), (0.4, 0.1), (0.5, 0.0)])
def test_the_gradient_of_a_stretched_drawing_is_that_of_its_differences(scale):
    """The first becomes round on the new frame, where an orientation has no derivative."""
    pattern = np.sin(np.arange(32 * 48)).reshape(32, 48, 1)

    def loss(parameters):
        gaussian = one_gaussian(parameters[:2], parameters[2], jnp.float64)
        return (gaussian.render(32, 48) * pattern).sum()

    with jax.enable_x64(True):
        at = jnp.asarray([*scale, 0.0], jnp.float64)
        found = jax.grad(loss)(at)
        assert np.isfinite(found).all()
        if min(scale) > 0:
            steps = 0.003 * np.eye(3)
            expected = [(loss(at + step) - loss(at - step)) / 0.006 for step in steps]
            np.testing.assert_allclose(found, expected, atol=0.01 * np.abs(expected).max())


def test_from_paper_equals_the_published_renderer():
    rng = np.random.default_rng(0)
    count, height, width, window = 4, 20, 25, 11
    mean = rng.uniform(-0.7, 0.7, (count, 2)).astype(np.float32)
    scale = rng.uniform(0.3, 0.9, (count, 2)).astype(np.float32)
    rotation = rng.uniform(-1.5, 1.5, count).astype(np.float32)
    amplitude = rng.normal(size=(count, 3)).astype(np.float32)
    sizes = {"height": height, "width": width, "window": window}
    published = jax.jit(functools.partial(grid_sample, **sizes))(mean, scale, rotation, amplitude)
    ours = Gaussians2D.from_paper(mean, scale, rotation, amplitude, **sizes)
    np.testing.assert_allclose(ours.render(sampling="bilinear"), published, atol=2e-5)


def test_is_a_pytree():
    gaussians = some_gaussians()
    doubled = jax.jit(lambda g: g.replace(amplitude=2 * g.amplitude))(gaussians)
    assert doubled.window == 15
    gradient = jax.grad(lambda g: jnp.sum(g.render() ** 2))(gaussians)
    assert isinstance(gradient, Gaussians2D)
    assert all(float(jnp.abs(leaf).max()) > 0 for leaf in jax.tree.leaves(gradient))


@pytest.mark.parametrize("weighted", [False, True])
def test_save_and_load(tmp_path, weighted):
    gaussians = some_gaussians()
    if weighted:
        gaussians = gaussians.replace(weight=1.5 + gaussians.rotation**2, full=2.5)
    path = tmp_path / "gaussians.npz"
    gaussians.save(path)
    again = Gaussians2D.load(path)
    assert jax.tree.structure(again) == jax.tree.structure(gaussians)
    for ours, theirs in zip(again.draw(), gaussians.draw(), strict=True):
        assert (ours is None) == (not weighted and theirs is None)
        if ours is not None:
            np.testing.assert_array_equal(ours, theirs)
    assert [entry.name for entry in tmp_path.iterdir()] == ["gaussians.npz"]


def test_files_that_hold_no_gaussians_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"\.npz"):
        some_gaussians().save(tmp_path / "gaussians.npy")
    np.save(tmp_path / "array.npy", np.zeros(3))
    with pytest.raises(ValueError, match="one array"):
        Gaussians2D.load(tmp_path / "array.npy")
    np.savez(tmp_path / "gaussians.npz", mean=np.zeros(3))
    with pytest.raises(ValueError, match="no array scale"):
        Gaussians2D.load(tmp_path / "gaussians.npz")


def test_activations():
    raw = jnp.asarray([-40.0, 0.0, 40.0])
    np.testing.assert_allclose(activate_scale(raw, 0.2), [0.2, 0.6, 1.0], atol=1e-6)
    np.testing.assert_allclose(activate_rotation(raw), [-np.pi / 2, 0, np.pi / 2], atol=1e-6)


def test_render_is_splat2d_of_the_pixels():
    gaussians = some_gaussians()
    drawn = splat2d(*gaussians.pixels(), height=24, width=32, window=15)
    np.testing.assert_array_equal(gaussians.render(), drawn)
