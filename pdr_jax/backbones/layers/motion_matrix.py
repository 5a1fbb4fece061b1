"""Motion matrices (MMVP, ICCV 2023): how alike each place of a frame is to each of the next.

A matrix is (P, Q): P places of one frame, Q of the next, rows of a grid one after the other.
"""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from einops import rearrange
from flax import linen as nn
from jax import Array
from jax.typing import DTypeLike

from pdr_jax.backbones.layers.conv import Conv
from pdr_jax.backbones.layers.conv3d import Conv3D
from pdr_jax.backbones.layers.l2_norm import l2_norm
from pdr_jax.backbones.layers.norm import BatchNorm
from pdr_jax.backbones.layers.token_grid import nearest

Grid = tuple[int, int]  # rows and columns of places


def similarity(features: Array) -> Array:
    """Cosines between the features of consecutive frames: (B, T, h, w, C) -> (B, T - 1, P, P)."""
    places = features.reshape(*features.shape[:2], -1, features.shape[-1])
    unit = places / (l2_norm(places, -1) + 1e-6)
    return jnp.einsum("btpc,btqc->btpq", unit[:, :-1], unit[:, 1:]).astype(features.dtype)


def spread(matrices: Array) -> Array:
    """Softmax over all pairs of places of a matrix (..., P, Q); float32 or wider."""
    wide = matrices.astype(jnp.promote_types(matrices.dtype, jnp.float32))
    return jax.nn.softmax(wide, axis=(-2, -1))


def compose(features: Array, seen: Array, coming: Array) -> Array:
    """What the observed frames hold, moved to the frames that follow.

    Each place of frame T + k is the mean of all places of all observed frames i, weighted by the
    product of the matrices from i to T, times the matrix from T to T + k. As a matrix that is
    `spread` sums to 1, a frame counts about P times less than the one after it.

    Args:
      features: (B, T, P, C) of the observed frames.
      seen: (B, T - 1, P, P), not negative, between them.
      coming: (B, F, P, P), not negative, from the last observed frame to each that follows.

    Returns:
      (B, F, P, C) in the dtype of `features`.
    """
    ones = jnp.ones((*features.shape[:-1], 1), coming.dtype)
    weighed = jnp.concatenate([features.astype(coming.dtype), ones], axis=-1)
    moved = weighed[:, 0]
    for i in range(seen.shape[1]):
        moved = jnp.einsum("bpq,bpc->bqc", seen[:, i], moved) + weighed[:, i + 1]
    moved = jnp.einsum("bfpq,bpc->bfqc", coming, moved)
    return (moved[..., :-1] / (moved[..., -1:] + 1e-6)).astype(features.dtype)


def hat(distance: float) -> float:
    """Weight of a sample for bilinear interpolation, by its distance in samples."""
    return max(1 - distance, 0)


def cubic(distance: float) -> float:
    """Likewise for bicubic interpolation: PyTorch's, a = -0.75."""
    a, d = -0.75, distance
    if d <= 1:
        return ((a + 2) * d - (a + 3)) * d * d + 1
    return (((d - 5) * d + 8) * d - 4) * a if d < 2 else 0.0


def resampling(old: int, new: int, weight: Callable[[float], float]) -> np.ndarray:
    """The matrix (new, old) that interpolates `old` samples at `new` places, edges repeated.

    As PyTorch's interpolate without align_corners and antialias.
    """
    matrix = np.zeros((new, old))
    for i in range(new):
        place = (i + 0.5) * old / new - 0.5
        for tap in range(math.floor(place) - 1, math.floor(place) + 3):
            matrix[i, min(max(tap, 0), old - 1)] += weight(abs(place - tap))
    return matrix


def resized(matrices: Array, old: Grid, new: Grid) -> Array:
    """Matrices (B, F, P, P) for a coarser grid: bicubic in the frame before, bilinear in the next.

    Args:
      matrices: of places of the grid `old`.
      old: a grid.
      new: a coarser grid.
    """
    batch, count = matrices.shape[:2]
    x = matrices.reshape(batch, count, *old, *old)
    for axis, weight in ((2, cubic), (3, cubic), (4, hat), (5, hat)):
        sides = old[axis % 2], new[axis % 2]
        kernel = jnp.asarray(resampling(*sides, weight), x.dtype)
        x = jnp.moveaxis(jnp.tensordot(x, kernel, (axis, 1)), -1, axis)
    return x.reshape(batch, count, math.prod(new), math.prod(new))


class ConvNorm(nn.Module):
    """A 3x3 convolution, in 3D over (N, T, H, W, C), batch normalisation, LeakyReLU 0.01."""

    features: int
    stride: int = 1
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Maps (N, [T,] H, W, C) to (N, [T,] H / stride, W / stride, features)."""
        conv = Conv3D if x.ndim == 5 else Conv
        x = conv(self.features, 3, stride=self.stride, dtype=self.dtype, name="conv")(x)
        return jax.nn.leaky_relu(BatchNorm(dtype=self.dtype, name="norm")(x, train))


class MatrixPredictor(nn.Module):
    """Matrices between observed frames -> matrices from the last of them to `length` more.

    Each place of a frame is a sample of its own, and its row of a matrix, over the places of the
    next frame, is a picture: a small U-Net over space sees these pictures of all steps.

    Attributes:
      hidden: channels.
      length: matrices to predict.
      grid: rows and columns of places.
      dtype: compute dtype.
    """

    hidden: int
    length: int
    grid: Grid
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, matrices: Array, train: bool) -> Array:
        """Maps (B, S, P, P) to (B, length, P, P)."""
        batch, steps, places, _ = matrices.shape
        hidden = self.hidden
        conv = functools.partial(Conv, dtype=self.dtype)
        layer = functools.partial(ConvNorm, dtype=self.dtype)

        x = matrices.swapaxes(1, 2).reshape(-1, *self.grid, 1)
        x = conv(hidden, 3, use_bias=False, name="embed")(x)
        for i in (1, 2):
            x = layer(hidden, name=f"before_{i}")(x, train)
        x = layer(hidden, stride=2, name="down_1")(x, train)
        x = layer(hidden, name="time_1")(x.reshape(-1, steps, *x.shape[1:]), train)
        x = rearrange(x, "n s h w c -> n h w (s c)")
        x = jax.nn.leaky_relu(conv(hidden * self.length, name="translate")(x))
        x = BatchNorm(dtype=self.dtype, name="translate_norm")(x, train)
        fine = rearrange(x, "n h w (f c) -> (n f) h w c", f=self.length)

        x = layer(2 * hidden, stride=2, name="down_2")(fine, train)
        if self.length == 1:
            x = jax.nn.leaky_relu(conv(2 * hidden, 3, name="time_2")(x))
        else:
            x = x.reshape(-1, self.length, *x.shape[1:])
            x = layer(2 * hidden, name="time_2")(x, train)
            x = x.reshape(-1, *x.shape[2:])
        x = jnp.concatenate([_as_large(x, fine.shape[1:3]), fine], axis=-1)
        x = layer(hidden, name="up_1")(x, train)
        x = layer(hidden, name="up_2")(_as_large(x, self.grid), train)
        x = conv(1, 3, use_bias=False, name="readout")(x)
        return x.reshape(batch, places, self.length, places).swapaxes(1, 2)


def _as_large(x: Array, grid: tuple[int, ...]) -> Array:
    for axis, size in enumerate(grid, start=1):
        x = nearest(x, axis, size)
    return x
