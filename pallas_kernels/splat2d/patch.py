"""The patch of pixels that the window of a Gaussian can reach, and the Gaussian's values there.

The patch is moved to lie inside the frame, so that nothing is padded and a Gaussian off the frame
needs no special case; what lies in the patch but not in the window is zero. Without a window the
patch is the frame. All functions take one Gaussian, or several along a last axis.
"""

from typing import NamedTuple

import jax.numpy as jnp

VECTOR = 8
"""Patches that are drawn one by one are as wide as the window rounded up to this many pixels: one
AVX2 register of floats."""

SMALL = 5
"""The largest window drawn by `scatter`, whose time grows with the pixels of a patch. For larger
ones the scan of `xla` is faster, which takes whole rows of a patch at a time."""

OUTSIDE = -1e4
"""Added to the exponent outside the window; exp(-1e4) is 0 in every dtype."""


class Geometry(NamedTuple):
    """Of a call of `splat2d`."""

    height: int
    width: int
    window: int | None
    sampling: str

    @property
    def small(self) -> bool:
        """Whether `scatter` draws it."""
        return self.sampling == "exact" and self.window is not None and self.window <= SMALL

    @property
    def patch(self) -> tuple[int, int]:
        """Rows and columns of the patch."""
        if self.window is None:
            return self.height, self.width
        side = self.window + 1
        columns = side if self.small else -(-side // VECTOR) * VECTOR
        return min(side, self.height), min(columns, self.width)


def place(geometry, mean):
    """First row and column of the patch around mean (2, ...), which NaN leaves in the frame too."""
    rows, columns = geometry.patch
    first = (jnp.floor(mean) - (geometry.window or 0) // 2).astype(jnp.int32)
    row = jnp.clip(first[1], 0, geometry.height - rows)
    return row, jnp.clip(first[0], 0, geometry.width - columns)


def offsets(first, count, zero):
    """`count` pixels from `first` (...) on, relative to `zero` (...): (count, ...)."""
    steps = jnp.arange(count, dtype=jnp.int32).reshape(-1, *(1,) * first.ndim)
    return (first[None] + steps).astype(zero.dtype) - zero[None]


def evaluate(geometry, whiten, x, y):
    """exp(-|M d|^2) at d = (x, y), zero outside the window.

    Args:
        geometry: of the call.
        whiten: (2, 2, ...), M.
        x: (columns, ...), relative to the mean.
        y: (rows, ...).

    Returns:
        (rows, columns, ...).
    """
    return value(geometry, whiten[:, :, None, None], x[None, :], y[:, None])


def value(geometry, whiten, x, y):
    """`evaluate` for x, y and the four entries of whiten that are broadcast to each other."""
    u = whiten[0, 0] * x + whiten[0, 1] * y
    v = whiten[1, 0] * x + whiten[1, 1] * y
    exponent = -(u * u + v * v)
    if geometry.window is not None:
        half = geometry.window / 2
        beyond_x, beyond_y = jnp.abs(x) > half, jnp.abs(y) > half
        exponent += jnp.where(beyond_x, OUTSIDE, 0) + jnp.where(beyond_y, OUTSIDE, 0)
    return jnp.exp(exponent)


def blend(value, x, y, fx, fy):
    """What bilinear sampling draws: value(x, y) blended with those one to the left and above.

    Args:
        value: of a Gaussian on the lattice, by x and y relative to the floor of its mean.
        x: of pixels, relative to it.
        y: likewise.
        fx: fractional part of the mean's x.
        fy: of its y.
    """
    upper = (1 - fx) * value(x, y) + fx * value(x - 1, y)
    y = y - 1
    lower = (1 - fx) * value(x, y) + fx * value(x - 1, y)
    return (1 - fy) * upper + fy * lower


def unblend(nw, ne, sw, se, fx, fy):
    """The transpose of `blend` and of its slopes in fx and fy, three arrays.

    Args:
        nw: the cotangent at the pixels that lie on lattice points.
        ne: at those to the right of them.
        sw: at those below.
        se: at those to the right and below.
        fx: as in `blend`.
        fy: as in `blend`.
    """
    north, south = (1 - fx) * nw + fx * ne, (1 - fx) * sw + fx * se
    whole = (1 - fy) * north + fy * south
    slope_x = (1 - fy) * (ne - nw) + fy * (se - sw)
    return [whole, slope_x, south - north]
