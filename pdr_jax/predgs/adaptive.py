"""PredGS that spends a budget of N Gaussians where a predicted density is high. Ours.

Two convolutions see the pooled coarse frame and its difference from the last observed frame. The
position head has one output for each cell, a density p of mean 1, and `place` puts N Gaussians so
that each has 1 / N of it. The other heads are maps that are read at mu:

    p     = exp(contrast tanh(raw)) / mean
    mu    = place(p, N)                             dense where p is high; a grid where p is even
    d     = sqrt(H W / (N p))                       the spacing at mu in pixels
    s     = sigmoid(raw + start + log(d / largest)) sparse Gaussians are wider
    theta = pi/2 tanh(raw)
    a     = (raw + start) d^2 / (2 pi sigma sigma') the level of a frame does not depend on p or N

No parameter depends on N: weights trained with one budget draw with any other. Shapes are static
and all N are drawn. A number of its own for each frame would be a mask, which saves no time, as a
masked Gaussian costs as much as a drawn one.

Not a preset that we recommend: with a small budget its places draw a given frame better than a
grid does, but behind a predictor a grid of the same heads (contrast 0) did as well or better. See
experiments/results/adaptive.md.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from pdr_jax.arrays import AnyArray
from pdr_jax.gaussians import AMPLITUDES, Gaussians2D, activate_rotation, activate_scale
from pdr_jax.predgs import position_init
from pdr_jax.predgs.config import PredGSConfig
from pdr_jax.predgs.redrawn import RunningStandardize, output_init


class Adaptive(nn.Module):
    """Coarse frames (B, T', H, W, C) to Gaussians2D with leading dimensions (B, T'): see `PredGS`.

    Frames whose sides `pool` does not divide have smaller cells at the right and at the bottom.
    """

    config: PredGSConfig

    @nn.compact
    def __call__(
        self,
        coarse: Float[AnyArray, "B T H W C"],
        *,
        observed: Float[AnyArray, "B T0 H W C"] | None = None,
        train: bool = False,
    ) -> Gaussians2D:
        """Describes each frame by N Gaussians: see `PredGS`."""
        config = self.config
        batch, time, height, width, channels = coarse.shape
        count, largest = config.num_gaussians, (config.window - 1) / 10
        coarse = jnp.asarray(coarse, jnp.float32)
        last = coarse if observed is None else jnp.asarray(observed, jnp.float32)[:, -1:]
        frames = jnp.concatenate([coarse, coarse - last], axis=-1)
        size = (config.pool, config.pool)
        rest = [(0, -side % config.pool) for side in (height, width)]
        x = nn.avg_pool(
            frames.reshape(-1, *frames.shape[2:]), size, size, rest, count_include_pad=False
        )
        if config.standardize:
            x = RunningStandardize(name="standardize")(x, train=train)
        for layer in range(2):
            x = nn.gelu(nn.Conv(config.hidden, (3, 3), name=f"hidden{layer}")(x))

        def head(name: str, size: int) -> Array:
            return nn.Dense(size, kernel_init=output_init(config.head_std), name=name)(x)

        def start(name: str, values: Array) -> Array:
            return self.param(name, lambda _: values).reshape(1, 1, -1)

        density = jnp.exp(config.contrast * jnp.tanh(head("position", 1)))
        area = jnp.asarray(_areas(height, width, config.pool), jnp.float32)[None]
        density = density / jnp.sum(density * area[..., None], axis=(1, 2), keepdims=True)
        where = functools.partial(place, count=count, height=height, width=width, pool=config.pool)
        places = jax.vmap(where)(density[..., 0])
        cells = places * jnp.asarray([width, height]).reshape(1, 1, 2) / config.pool
        read = jax.vmap(read_at)
        spacing = jnp.sqrt(height * width / (count * read(density, cells)))
        unit = start("scale_start", jnp.asarray(config.scale_start)) + jnp.log(spacing / largest)
        level = start("amplitude_start", jnp.full(channels, config.amplitude_start, jnp.float32))
        scale, rotation, amplitude = (
            read(head(name, size), cells)
            for name, size in (("scale", 2), ("rotation", 1), ("amplitude", channels))
        )
        scale = activate_scale(scale + unit, config.min_sigma / largest)
        cover = 2 * jnp.pi * largest**2 * jnp.prod(scale, axis=-1, keepdims=True) / spacing**2
        gaussians = Gaussians2D(
            mean=places * 2 - 1,
            scale=scale,
            rotation=activate_rotation(rotation)[..., 0],
            amplitude=AMPLITUDES[config.amplitude](amplitude + level) / cover,
            height=height,
            width=width,
            window=config.window,
        )
        return jax.tree.map(lambda leaf: leaf.reshape(batch, time, *leaf.shape[1:]), gaussians)


def place(
    density: Float[Array, "h w"], count: int, height: int, width: int, pool: int
) -> Float[Array, "{count} 2"]:
    """Places points so that each has the same share of a density that is even within each cell.

    The frame is cut into bands, the rows of `position_init.grid`, and each band into columns with
    1 / N of the whole. A point lies at its column's median in x, and there at its band's in y. An
    even density gives that grid, with rows as high as their points need. The number of points in
    [0, x] x [0, y] departs from its share of N by less than the number of bands and of one band's
    points together.

    Medians are inverses of cumulative sums: positions are continuous in the density and have exact
    gradients but for kinks, unlike dithering's; nothing is random, and no point waits for another.

    Args:
      density: positive, on any scale.
      count: N.
      height: of the frame in pixels.
      width: of the frame in pixels.
      pool: side of a cell in pixels; the last cells of an axis may be smaller.

    Returns:
      (x, y) in [0, 1].
    """
    dtype = density.dtype
    grid = position_init.grid(count, height, width)
    _, band, sizes = np.unique(grid[:, 1], return_inverse=True, return_counts=True)
    across = jnp.asarray((grid[:, 0] + 1) / 2, dtype)
    down = jnp.asarray(np.cumsum([0, *sizes]) / count, dtype)
    rows, columns = (jnp.asarray(_edges(size, pool), dtype) for size in (height, width))

    # The density above each edge of rows and of bands, in each column of cells.
    above = _cumulative(density * jnp.asarray(_areas(height, width, pool), dtype), axis=0)
    total = above.sum(1)
    bands = _interp(down, total / total[-1], rows)
    above_bands = jax.vmap(_interp, (None, None, 1), 1)(bands, rows, above)
    along = _cumulative(jnp.diff(above_bands, axis=0), axis=1)
    inverse = jax.vmap(_interp, (0, 0, None))
    x = inverse(across, (along / along[:, -1:])[band], columns)

    # The same in the column through each point.
    through = _weights(x * (width / pool), len(columns) - 1)
    above, above_bands = (
        jnp.matmul(through, part.T, precision="highest") for part in (above, above_bands)
    )
    point = np.arange(count)
    middle = (above_bands[point, band] + above_bands[point, band + 1]) / 2
    return jnp.stack([x, inverse(middle, above, rows)], axis=-1)


def read_at(maps: Float[Array, "h w D"], points: Float[Array, "N 2"]) -> Float[Array, "N D"]:
    """Maps at points (x, y) in cells from the upper left corner, bilinearly between centres.

    Dense weights rather than a gather, whose transpose is a scatter: slow, and in no fixed order.
    """
    x, y = _weights(points[:, 0], maps.shape[1]), _weights(points[:, 1], maps.shape[0])
    return jnp.einsum("nh,nhd->nd", y, jnp.einsum("nw,hwd->nhd", x, maps))


def _interp(x: Float[Array, "*S"], knots: Float[Array, " n"], values: Float[Array, " n"]) -> Array:
    """`jnp.interp` as a sum over the pieces: for short ones faster than its search."""
    left, right = (part.reshape((1,) * x.ndim + (-1,)) for part in (knots[:-1], knots[1:]))
    parts = jnp.clip((x[..., None] - left) / (right - left), 0, 1)
    return values[0] + jnp.matmul(parts, jnp.diff(values), precision="highest")


def _weights(points: Float[Array, " N"], size: int) -> Float[Array, "N {size}"]:
    """Of linear interpolation between the centres of `size` cells."""
    centres = jnp.arange(size, dtype=points.dtype)[None]
    return jax.nn.relu(1 - jnp.abs(jnp.clip(points - 0.5, 0, size - 1)[:, None] - centres))


def _cumulative(x: Float[Array, "h w"], axis: int) -> Array:
    """Sums before each edge of the cells along an axis: one more than cells."""
    return jnp.pad(jnp.cumsum(x, axis=axis), [(int(i == axis), 0) for i in range(2)])


def _edges(size: int, pool: int) -> np.ndarray:
    """Of cells of `pool` pixels along an axis of `size`, from 0 to 1."""
    return np.minimum(np.arange(0, size + pool, pool), size) / size


def _areas(height: int, width: int, pool: int) -> np.ndarray:
    """(h, w) shares of the frame that the cells have."""
    return np.outer(*(np.diff(_edges(size, pool)) for size in (height, width)))
