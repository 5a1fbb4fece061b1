"""The adaptive adapter: a budget of Gaussians, placed by a predicted density."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdr_jax import PredGS, diagnostics, predgs
from pdr_jax.predgs import position_init
from pdr_jax.predgs.adaptive import place, read_at

H, W, C = 14, 22, 3  # pool=4 divides neither
SMALL = {"num_gaussians": 30, "window": 31, "pool": 4, "hidden": 8}


def density(dtype=np.float32):
    """(4, 6) cells of 4 x 4 pixels, the last of each axis smaller; 1 to 20."""
    return np.exp(np.random.default_rng(0).uniform(0, 3, (4, 6))).astype(dtype)


@functools.cache
def clips():
    frames = jax.random.uniform(jax.random.key(0), (2, 5, H, W, C))
    return frames[:, :3], frames[:, 3:]


PLACE = jax.jit(place, static_argnums=(1, 2, 3, 4))


def test_an_even_density_gives_the_grid():
    even = jnp.full((4, 6), 7.0)
    grid = position_init.grid(24, H, W)
    for put in (place, PLACE):
        np.testing.assert_allclose(put(even, 24, H, W, 4) * 2 - 1, grid, atol=1e-5)
    # Rows of 7 and 8 points, the longer of which are as much higher.
    points, grid = PLACE(even, 30, H, W, 4), position_init.grid(30, H, W)
    np.testing.assert_allclose(points[:, 0] * 2 - 1, grid[:, 0], atol=1e-5)
    np.testing.assert_allclose(
        np.unique(points[:, 1].round(5)) * 30, [4, 12, 19.5, 26.5], atol=1e-3
    )


def test_points_are_as_dense_as_the_density():
    count = 200
    points = np.asarray(PLACE(jnp.asarray(density()), count, H, W, 4))
    assert 0 < points.min() <= points.max() < 1
    rows, columns = (np.minimum(4 * np.arange(n + 1), size) for n, size in ((4, H), (6, W)))
    share = density() * np.outer(np.diff(rows), np.diff(columns))
    share = share.cumsum(0).cumsum(1) / share.sum()
    within = (points[:, None, None, 0] * W < columns[1:]) & (
        points[:, None, None, 1] * H < rows[1:, None]
    )
    bands = round(np.sqrt(count * H / W))
    off = np.abs(within.sum(0) - count * share)
    assert off.max() < bands + np.ceil(count / bands)
    # Far from an even density, for which this would hold as well.
    even = np.outer(rows[1:], columns[1:]) / (H * W)
    assert np.abs(count * (share - even)).max() > 2 * off.max()


def test_the_largest_contrast_is_safe():
    """Where almost all the density is in one row, or in one cell of each row."""
    sparse = jnp.full((128, 128), jnp.exp(-4.0))

    @jax.jit
    def run(density):
        return jax.value_and_grad(lambda x: place(x, 64, 128, 128, 1).mean())(density)

    for dense in (sparse.at[90].set(jnp.exp(4.0)), sparse.at[:, 40].set(jnp.exp(4.0))):
        value, gradient = run(dense)
        assert 0 < value < 1
        assert bool(jnp.isfinite(gradient).all())


def test_gradients_equal_finite_differences():
    """Of positions, and of a map that is read at them."""
    with jax.enable_x64(True):
        given = jnp.asarray(density(np.float64))
        rng = np.random.default_rng(1)
        weight = jnp.asarray(rng.standard_normal((30, 2)))
        maps = jnp.asarray(rng.standard_normal((4, 6, 2)))

        @jax.jit
        def value(x):
            points = place(x, 30, H, W, 4)
            size = jnp.asarray([[W, H]]) / 4
            return jnp.sum(weight * (points + read_at(maps, points * size)))

        gradient = jax.jit(jax.grad(value))(given)
        for seed in range(3):
            direction = jnp.asarray(np.random.default_rng(seed).standard_normal(given.shape))
            step = 1e-6 * direction
            slope = (value(given + step) - value(given - step)) / 2e-6
            np.testing.assert_allclose((gradient * direction).sum(), slope, rtol=1e-6)
        # A constant factor of the density changes nothing.
        assert abs(float((gradient * given).sum())) < 1e-9


@functools.cache
def started():
    """An adapter's variables, Gaussians and gradients at the start."""
    observed, coarse = clips()
    adapter = PredGS(predgs.create("adaptive", **SMALL))

    @jax.jit
    def run(key):
        variables = adapter.init(key, coarse, observed=observed)

        def loss(params):
            gaussians = adapter.apply({**variables, "params": params}, coarse, observed=observed)
            return jnp.mean((gaussians.render() - coarse) ** 2), gaussians

        grads, gaussians = jax.grad(loss, has_aux=True)(variables["params"])
        return variables, gaussians, grads

    return adapter, *run(jax.random.key(0))


def test_it_starts_near_a_grid_and_every_head_has_a_gradient():
    _, _, gaussians, grads = started()
    assert gaussians.mean.shape == (2, 2, 30, 2)
    assert gaussians.amplitude.shape == (2, 2, 30, C)
    grid = position_init.grid(30, H, W)
    off = (np.asarray(gaussians.mean) - grid) * [W / 2, H / 2]
    assert 0 < np.abs(off).max() < 0.5  # pixels
    norms = diagnostics.gradient_norms({"adapter": grads})
    assert set(norms) == set(diagnostics.HEADS)
    for head, norm in norms.items():
        assert float(norm) > 1e-6, head


def test_weights_draw_with_any_budget():
    """More Gaussians are narrower, and the picture keeps its level."""
    _, variables, gaussians, _ = started()
    observed, coarse = clips()

    @functools.partial(jax.jit, static_argnums=0)
    def draw(count):
        adapter = PredGS(predgs.create("adaptive", **{**SMALL, "num_gaussians": count}))
        gaussians = adapter.apply(variables, coarse, observed=observed)
        return gaussians.scale.mean(), gaussians.render()[:, :, 4:-4, 4:-4].mean()

    (wide, level), (narrow, same) = draw(30), draw(120)
    np.testing.assert_allclose(wide, gaussians.scale.mean(), rtol=1e-5)
    assert narrow < 0.8 * wide
    np.testing.assert_allclose(same, level, rtol=0.1)


def test_bad_fields_are_refused():
    for contrast in (-1.0, 5.0):
        with pytest.raises(ValueError, match=f"contrast={contrast}"):
            predgs.create("adaptive", contrast=contrast)
    with pytest.raises(ValueError, match="num_gaussians=0"):
        predgs.create("adaptive", num_gaussians=0)
