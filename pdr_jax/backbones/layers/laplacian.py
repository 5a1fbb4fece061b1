"""The Laplacian pyramid of frames (Burt and Adelson 1983)."""

import jax.numpy as jnp
from jax import Array, lax

BINOMIAL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


def laplacian_pyramid(x: Array, levels: int) -> list[Array]:
    """What each halving of the resolution loses: `levels` arrays, the finest first.

    Args:
      x: (..., H, W, C); H and W must be divisible by 2^levels, and at least 2^(levels + 1).
      levels: number of halvings; what is left after the last is not returned.
    """
    details = []
    for _ in range(levels):
        half = _smooth(x)[..., ::2, ::2, :]
        details.append(x - _doubled(half))
        x = half
    return details


def most_levels(size: int) -> int:
    """How many levels a side of this many pixels allows."""
    levels = 0
    while size % 2 == 0 and size >= 4:
        size, levels = size // 2, levels + 1
    return levels


def _doubled(x: Array) -> Array:
    apart = [(0, 0, 0)] * (x.ndim - 3) + [(0, 1, 1), (0, 1, 1), (0, 0, 0)]
    return 4 * _smooth(lax.pad(x, jnp.zeros((), x.dtype), apart))


def _smooth(x: Array) -> Array:
    for axis in (x.ndim - 3, x.ndim - 2):
        size = x.shape[axis]
        margin = [(2, 2) if i == axis else (0, 0) for i in range(x.ndim)]
        padded = jnp.pad(x, margin, mode="reflect")
        taps = [
            weight * lax.slice_in_dim(padded, i, i + size, axis=axis)
            for i, weight in enumerate(BINOMIAL)
        ]
        x = sum(taps[1:], start=taps[0])
    return x
