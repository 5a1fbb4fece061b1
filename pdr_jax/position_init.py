"""Where the Gaussians start: patterns of N positions in [-1, 1] (paper, position initialisation).

The paper studies a uniform grid (its best), Harris corners, brightest pixels and uniform random
positions. Coordinates are those of `pdr_jax.gaussians`: -1 and +1 are the outer edges.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np


def grid(count: int, height: int, width: int) -> np.ndarray:
    """(count, 2) centres of `count` cells that tile the frame as squarely as they can.

    Any count will do: rows differ by one cell at most.
    """
    rows = max(1, round(np.sqrt(count * height / width)))
    points = [
        ((column + 0.5) / len(row) * 2 - 1, (y + 0.5) / rows * 2 - 1)
        for y, row in enumerate(np.array_split(np.arange(count), min(rows, count)))
        for column in range(len(row))
    ]
    return np.asarray(points, np.float32).reshape(count, 2)


def grid_edges(count: int, height: int, width: int) -> np.ndarray:
    """(count, 2) like `grid`, but stretched so that its border lies on the frame's edges."""
    points = grid(count, height, width)
    reach = np.abs(points).max(axis=0, initial=0)
    return np.clip(points / np.where(reach > 0, reach, 1), -1, 1).astype(np.float32)


def brightest(count: int, frames: jax.Array) -> jax.Array:
    """(count, 2) brightest pixels of the mean of `frames` (..., H, W, C)."""
    return _top_pixels(_mean_image(frames), count)


def harris(count: int, frames: jax.Array) -> jax.Array:
    """(count, 2) strongest Harris corners of `frames` (..., H, W, C).

    Response det(M) - 0.04 trace(M)^2 of the structure tensor M in a 5 x 5 window, averaged over the
    frames; local maxima come first, the strongest other pixels fill up.
    """
    image = jnp.mean(frames, axis=-1).reshape(-1, *frames.shape[-3:-1])
    dy, dx = (jnp.asarray(jnp.gradient(image, axis=axis)) for axis in (1, 2))
    xx, yy, xy = (_window_sum(a) for a in (dx * dx, dy * dy, dx * dy))
    response = jnp.mean(xx * yy - xy**2 - 0.04 * (xx + yy) ** 2, axis=0)
    neighbourhood = jax.lax.reduce_window(response, -jnp.inf, jax.lax.max, (3, 3), (1, 1), "SAME")
    spread = jnp.max(response) - jnp.min(response) + 1
    return _top_pixels(jnp.where(response == neighbourhood, response + spread, response), count)


def _mean_image(frames: jax.Array) -> jax.Array:
    return jnp.mean(frames, axis=(*range(frames.ndim - 3), frames.ndim - 1))


def _window_sum(image: jax.Array) -> jax.Array:
    return jax.lax.reduce_window(image, 0.0, jax.lax.add, (1, 5, 5), (1, 1, 1), "SAME")


def _top_pixels(score: jax.Array, count: int) -> jax.Array:
    """Normalised centres of the best pixels; they repeat where there are fewer than `count`."""
    height, width = score.shape
    order = jnp.argsort(score.reshape(-1), descending=True)
    y, x = jnp.divmod(order[jnp.arange(count) % order.size], width)
    return jnp.stack([(x + 0.5) / width * 2 - 1, (y + 0.5) / height * 2 - 1], axis=-1)


def _random(key: jax.Array, count: int, frames: jax.Array) -> jax.Array:
    return jax.random.uniform(key, (count, 2), minval=-1.0, maxval=1.0)


# name -> (key, count, frames (..., H, W, C)) -> (count, 2)
PATTERNS: dict[str, Callable[[jax.Array, int, jax.Array], jax.Array | np.ndarray]] = {
    "grid": lambda key, count, frames: grid(count, *frames.shape[-3:-1]),
    "grid_edges": lambda key, count, frames: grid_edges(count, *frames.shape[-3:-1]),
    "harris": lambda key, count, frames: harris(count, frames),
    "brightest": lambda key, count, frames: brightest(count, frames),
    "random": _random,
    "none": lambda key, count, frames: np.zeros((count, 2), np.float32),
}
