"""Where the Gaussians start: patterns of N positions in [-1, 1] (paper, position initialisation).

The paper studies a uniform grid (its best), Harris corners, brightest pixels and uniform random
positions. Coordinates are (x, y) as in `pdr_jax.gaussians`: -1 and +1 are the frame's outer edges.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from pdr_jax.arrays import AnyArray


def grid(count: int, height: int, width: int) -> Float[np.ndarray, "{count} 2"]:
    """Centres of cells that tile the frame as squarely as they can.

    Any count will do: the rows differ by at most one cell.
    """
    rows = max(1, round(np.sqrt(count * height / width)))
    points = [
        ((column + 0.5) / len(row) * 2 - 1, (y + 0.5) / rows * 2 - 1)
        for y, row in enumerate(np.array_split(np.arange(count), min(rows, count)))
        for column in range(len(row))
    ]
    return np.asarray(points, np.float32).reshape(count, 2)


def grid_edges(count: int, height: int, width: int) -> Float[np.ndarray, "{count} 2"]:
    """`grid`, stretched until its outermost points lie on the frame's edges."""
    points = grid(count, height, width)
    reach = np.abs(points).max(axis=0, initial=0)
    return np.clip(points / np.where(reach > 0, reach, 1), -1, 1).astype(np.float32)


def brightest(count: int, frames: Float[AnyArray, "*B H W C"]) -> Float[Array, "{count} 2"]:
    """The brightest pixels of the mean frame; they repeat where there are fewer than `count`."""
    return _top_pixels(_mean_image(frames), count)


def harris(count: int, frames: Float[AnyArray, "*B H W C"]) -> Float[Array, "{count} 2"]:
    """The strongest Harris corners; the strongest other pixels fill up to `count`.

    A corner is a local maximum of det(M) - 0.04 trace(M)^2, averaged over the frames; M is the
    structure tensor in a 5 x 5 window.
    """
    image = jnp.mean(frames, axis=-1).reshape(-1, *frames.shape[-3:-1])
    dy, dx = (jnp.asarray(jnp.gradient(image, axis=axis)) for axis in (1, 2))
    xx, yy, xy = (_window_sum(a) for a in (dx * dx, dy * dy, dx * dy))
    response = jnp.mean(xx * yy - xy**2 - 0.04 * (xx + yy) ** 2, axis=0)
    neighbourhood = jax.lax.reduce_window(response, -jnp.inf, jax.lax.max, (3, 3), (1, 1), "SAME")
    spread = jnp.max(response) - jnp.min(response) + 1
    return _top_pixels(jnp.where(response == neighbourhood, response + spread, response), count)


def _mean_image(frames: AnyArray) -> Array:
    return jnp.mean(frames, axis=(*range(frames.ndim - 3), frames.ndim - 1))


def _window_sum(image: Array) -> Array:
    return jax.lax.reduce_window(image, 0.0, jax.lax.add, (1, 5, 5), (1, 1, 1), "SAME")


def _top_pixels(score: Array, count: int) -> Array:
    """Normalised centres of the best pixels; they repeat where there are fewer than `count`."""
    height, width = score.shape
    order = jnp.argsort(score.reshape(-1), descending=True)
    y, x = jnp.divmod(order[jnp.arange(count) % order.size], width)
    return jnp.stack([(x + 0.5) / width * 2 - 1, (y + 0.5) / height * 2 - 1], axis=-1)


def _random(key: Array, count: int, frames: Array) -> Array:
    return jax.random.uniform(key, (count, 2), minval=-1.0, maxval=1.0)


# By name: functions of (key, count, frames (..., H, W, C)) to (count, 2).
PATTERNS: dict[str, Callable[[Array, int, Array], AnyArray]] = {
    "grid": lambda key, count, frames: grid(count, *frames.shape[-3:-1]),
    "grid_edges": lambda key, count, frames: grid_edges(count, *frames.shape[-3:-1]),
    "harris": lambda key, count, frames: harris(count, frames),
    "brightest": lambda key, count, frames: brightest(count, frames),
    "random": _random,
    "none": lambda key, count, frames: np.zeros((count, 2), np.float32),
}
