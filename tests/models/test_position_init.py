import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdr_jax.predgs import position_init


@pytest.mark.parametrize(("count", "height", "width"), [(400, 64, 64), (300, 32, 64), (7, 5, 9)])
def test_grid_tiles_the_frame(count, height, width):
    points = position_init.grid(count, height, width)
    assert points.shape == (count, 2)
    assert np.abs(points).max() < 1
    np.testing.assert_allclose(points.mean(0), 0, atol=0.1)
    # No two closer than about the side of a square cell, in pixels.
    pixels = (points + 1) / 2 * [width, height]
    distance = np.linalg.norm(pixels[:, None] - pixels[None], axis=-1)
    distance[np.diag_indices(count)] = np.inf
    assert distance.min() > 0.6 * np.sqrt(height * width / count)


def test_grid_edges_reaches_the_edges():
    points = position_init.grid_edges(400, 64, 64)
    np.testing.assert_allclose([points.min(), points.max()], [-1, 1])
    np.testing.assert_array_equal(position_init.grid_edges(1, 8, 8), [[0, 0]])


def square():
    """A bright rectangle with corners at (x, y) = (4, 6), (11, 6), (4, 9), (11, 9)."""
    frames = jnp.zeros((2, 16, 24, 1))
    return frames.at[:, 6:10, 4:12].set(1.0)


def to_pixels(points, height=16, width=24):
    return (np.asarray(points) + 1) / 2 * [width, height] - 0.5


def test_harris_finds_the_corners():
    found = to_pixels(position_init.harris(4, square()))
    corners = np.asarray([[4, 6], [11, 6], [4, 9], [11, 9]])
    distance = np.linalg.norm(found[:, None] - corners[None], axis=-1)
    assert distance.min(axis=0).max() <= 2.0  # every corner has a point beside it
    assert distance.min(axis=1).max() <= 2.0  # and no point is anywhere else


def test_brightest_lies_in_the_bright_part():
    found = to_pixels(position_init.brightest(32, square()))
    assert len({tuple(point) for point in found.tolist()}) == 32
    found = np.rint(found)
    assert np.all((found >= [4, 6]) & (found <= [11, 9]))


def test_patterns_have_the_same_form():
    frames = jax.random.uniform(jax.random.key(0), (2, 3, 12, 20, 2))
    for name, pattern in position_init.PATTERNS.items():
        points = np.asarray(pattern(jax.random.key(1), 300, frames))
        assert points.shape == (300, 2), name
        assert np.abs(points).max() <= 1, name
