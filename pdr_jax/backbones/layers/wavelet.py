"""The orthonormal Haar wavelet transform, along any axes."""

import math
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array, lax


def haar(x: Array, axes: Sequence[int]) -> Array:
    """Splits `x` into 2^n bands of half the size along n axes.

    Of each pair of neighbours a, b the low band has (a + b) / sqrt 2, the high one
    (a - b) / sqrt 2; `inverse_haar` brings `x` back.

    Args:
      x: even along each of `axes`.
      axes: to split along, counted from the front.

    Returns:
      (2^n, ...), the bands in the order of binary numbers: low is 0, high is 1, and the first of
      `axes` is the first digit. For axes (time, row, column), band 1 is high along columns only.

    Raises:
      ValueError: on an odd size.
    """
    shape: list[int] = []
    for axis, size in enumerate(x.shape):
        if axis in axes and size % 2:
            raise ValueError(f"x of shape {x.shape} is odd along axis {axis}: pad it")
        shape += [size // 2, 2] if axis in axes else [size]
    pairs = jnp.moveaxis(x.reshape(shape), _places(axes), range(len(axes)))
    return _transform(pairs.reshape(2 ** len(axes), *pairs.shape[len(axes) :]))


def inverse_haar(bands: Array, axes: Sequence[int]) -> Array:
    """The inverse of `haar`: (2^n, ...) bands along `axes` -> the array."""
    halves = bands.shape[1:]
    pairs = _transform(bands).reshape(*[2] * len(axes), *halves)
    pairs = jnp.moveaxis(pairs, range(len(axes)), _places(axes))
    return pairs.reshape([size * 2 if i in axes else size for i, size in enumerate(halves)])


def _transform(cells: Array) -> Array:
    """The transform of each cell of 2^n neighbours, (2^n, ...); it is its own inverse."""
    matrix: np.ndarray = np.ones((1, 1))
    while len(matrix) < len(cells):
        matrix = np.kron(matrix, np.array([[1, 1], [1, -1]]) * math.sqrt(0.5))
    return jnp.tensordot(
        jnp.asarray(matrix, cells.dtype), cells, 1, precision=lax.Precision.HIGHEST
    )


def _places(axes: Sequence[int]) -> list[int]:
    """Where each axis's pairs are, once each axis has become two."""
    return [axis + 1 + sum(other < axis for other in axes) for axis in axes]
