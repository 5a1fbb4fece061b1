"""The portable implementation: one patch at a time, never an N x H x W array.

A Gaussian touches the patch of pixels its window can reach, or the whole frame without a window.
Forward, the patches of a frame are added to it one after the other. Backward, the same patches of
the cotangent are read and reduced to moments, from which every gradient follows. So both
directions hold their inputs, their outputs and a few patches.

The patch is moved to lie inside the frame, so that nothing is padded and a Gaussian off the frame
needs no special case; what lies in the patch but not in the window is zero.
"""

from functools import cache, partial
from math import sqrt
from typing import NamedTuple

import jax
import jax.numpy as jnp

from pallas_kernels.splat2d.frames import independent_frames
from pallas_kernels.splat2d.reference import MAX_MEAN, whitening

VECTOR = 8
"""Patches are as wide as the window rounded up to this many pixels: one AVX2 register of float32."""

CHUNK = 2**16
"""Patch values held before they are reduced in the backward pass; 256 kB of float32, which fits in
the second-level cache of current CPUs."""

OUTSIDE = -1e4
"""Added to the exponent outside the window; exp(-1e4) is 0 in every dtype."""


class _Geometry(NamedTuple):
    height: int
    width: int
    window: int | None
    sampling: str

    @property
    def patch(self):
        """Rows and columns of the patch."""
        if self.window is None:
            return self.height, self.width
        columns = -(-(self.window + 1) // VECTOR) * VECTOR
        return min(self.window + 1, self.height), min(columns, self.width)


def splat(mean, scale, rotation, amplitude, *, height, width, window, sampling):
    """Sums the Gaussians of every frame, (F, N, ...) -> (F, H, W, C): see `splat2d`."""
    render = _differentiable(_Geometry(height, width, window, sampling))
    mean = jnp.clip(mean, -MAX_MEAN, MAX_MEAN)
    # The square root of the 1/2 in exp(-|M d|^2 / 2) saves a multiplication a pixel.
    return render(mean, whitening(scale, rotation) * sqrt(0.5), amplitude)


@cache
def _differentiable(geometry):
    forward = independent_frames(partial(_forward, geometry))
    backward = independent_frames(partial(_backward, geometry))
    render = jax.custom_vjp(forward)
    render.defvjp(lambda *args: (forward(*args), args), lambda args, ct: backward(*args, ct))
    return render


def _forward(geometry, mean, whiten, amplitude):
    """(F, N, 2), (F, N, 2, 2), (F, N, C) -> (F, H, W, C)."""
    height, width, channels = geometry.height, geometry.width, amplitude.shape[-1]

    def add(canvas, gaussian):
        mean, whiten, amplitude = gaussian
        origin = _origin(geometry, mean)
        values = _values(geometry, mean, whiten, origin)
        if geometry.sampling == "bilinear":
            fx, fy = mean - jnp.floor(mean)
            values = (1 - fx) * values[:, 1:] + fx * values[:, :-1]
            values = (1 - fy) * values[1:] + fy * values[:-1]
        at = (jnp.int32(0), *origin)
        patch = jax.lax.dynamic_slice(canvas, at, (channels, *geometry.patch))
        patch += amplitude[:, None, None] * values[None]
        return jax.lax.dynamic_update_slice(canvas, patch, at), None

    def frame(gaussians):
        canvas = jnp.zeros((channels, height, width), amplitude.dtype)
        return jax.lax.scan(add, canvas, gaussians)[0].transpose(1, 2, 0)

    return jax.lax.map(frame, (mean, whiten, amplitude))


def _backward(geometry, mean, whiten, amplitude, cotangent):
    """Cotangents of mean, whiten and amplitude, given that of the frames (F, H, W, C)."""
    count, channels = amplitude.shape[1:]
    kinds = 3 if geometry.sampling == "bilinear" else 1
    size = kinds * channels * geometry.patch[0] * geometry.patch[1]
    chunks = max(1, -(-count * size // CHUNK))
    chunk = -(-count // chunks)

    def frame(args):
        *gaussians, cotangent = args
        reduce = partial(_moments, geometry, cotangent.transpose(2, 0, 1))
        padded = [_pad(x, chunks * chunk).reshape(chunks, chunk, *x.shape[1:]) for x in gaussians]
        moments = jax.lax.map(lambda chunk: reduce(*chunk), padded)
        return moments.reshape(-1, *moments.shape[2:])[:count]

    moments = jax.lax.map(frame, (mean, whiten, cotangent))
    by_channel = moments[:, :, 0]
    total = (amplitude[..., None, None] * by_channel).sum(-3)
    xx, xy, yy = total[..., 0, 2], total[..., 1, 1], total[..., 2, 0]
    second = jnp.stack([jnp.stack([xx, xy], -1), jnp.stack([xy, yy], -1)], -2)
    d_whiten = -2 * _matmul(whiten, second)
    if geometry.sampling == "bilinear":
        d_mean = (amplitude[:, :, None] * moments[:, :, 1:, :, 0, 0]).sum(-1)
    else:
        first = jnp.stack([total[..., 0, 1], total[..., 1, 0]], -1)[..., None]
        d_mean = 2 * _matmul(whiten.mT, _matmul(whiten, first))[..., 0]
    return d_mean, d_whiten, by_channel[..., 0, 0]


def _moments(geometry, cotangent, mean, whiten):
    """Moments of cotangent x value over the patches of some Gaussians.

    Args:
        geometry: of the frame.
        cotangent: (C, H, W).
        mean: (G, 2).
        whiten: (G, 2, 2).

    Returns:
        (G, kinds, C, 3, 3): element i, j is the sum of cotangent x value x dy^i x dx^j. The first
        kind is the value itself; in bilinear mode its slopes in mean x and mean y follow.
    """

    def weigh(gaussian):
        mean, whiten = gaussian
        origin = _origin(geometry, mean)
        at, shape = (jnp.int32(0), *origin), (cotangent.shape[0], *geometry.patch)
        kinds = jax.lax.dynamic_slice(cotangent, at, shape)[None]
        if geometry.sampling == "bilinear":
            kinds = _unblend(kinds[0], *(mean - jnp.floor(mean)))
        return kinds * _values(geometry, mean, whiten, origin)[None, None]

    weighed = jax.lax.map(weigh, (mean, whiten))
    x, y = jax.vmap(lambda mean: _offsets(geometry, mean, _origin(geometry, mean)))(mean)
    # Batched products with the powers of each Gaussian's own offsets: powers shared by all would be
    # taken about the centre of the patch, and lose digits when moved to a mean far from it.
    rows = jnp.einsum("gkcyx,gxj->gkcyj", weighed, _powers(x), precision="highest")
    return jnp.einsum("gkcyj,gyi->gkcij", rows, _powers(y), precision="highest")


def _origin(geometry, mean):
    """First row and column of the patch: it lies in the frame and holds the window's part of it."""
    rows, columns = geometry.patch
    first = jnp.floor(mean) - (geometry.window or 0) // 2
    row = jnp.clip(first[1], 0, geometry.height - rows).astype(jnp.int32)
    column = jnp.clip(first[0], 0, geometry.width - columns).astype(jnp.int32)
    return row, column


def _offsets(geometry, mean, origin):
    """Places where a Gaussian is evaluated, relative to its mean: x (columns,) and y (rows,).

    They are the pixels of its patch; in bilinear mode the lattice points that these are blended of,
    which are one row and one column more.
    """
    (row, column), (rows, columns) = origin, geometry.patch
    if geometry.sampling == "bilinear":
        row, column, rows, columns = row - 1, column - 1, rows + 1, columns + 1
        mean = jnp.floor(mean)
    x = (column + jnp.arange(columns, dtype=jnp.int32)).astype(mean.dtype) - mean[0]
    y = (row + jnp.arange(rows, dtype=jnp.int32)).astype(mean.dtype) - mean[1]
    return x, y


def _values(geometry, mean, whiten, origin):
    """exp(-|M d|^2) at all offsets d of a Gaussian, zero outside the window."""
    x, y = _offsets(geometry, mean, origin)
    x, y = x[None, :], y[:, None]
    u = whiten[0, 0] * x + whiten[0, 1] * y
    v = whiten[1, 0] * x + whiten[1, 1] * y
    exponent = -(u * u + v * v)
    if geometry.window is not None:
        half = geometry.window / 2
        beyond_x, beyond_y = jnp.abs(x) > half, jnp.abs(y) > half
        exponent += jnp.where(beyond_x, OUTSIDE, 0) + jnp.where(beyond_y, OUTSIDE, 0)
    return jnp.exp(exponent)


def _unblend(patch, fx, fy):
    """The transpose of the bilinear blend, and of its derivatives in fx and fy.

    Args:
        patch: (C, rows, columns).
        fx: fractional part of the mean's x.
        fy: of its y.

    Returns:
        (3, C, rows + 1, columns + 1).
    """
    right, left = (jnp.pad(patch, ((0, 0), (0, 0), pad)) for pad in ((1, 0), (0, 1)))
    blended, slope = (1 - fx) * right + fx * left, left - right

    def in_y(x, below, above):
        return below * jnp.pad(x, ((0, 0), (1, 0), (0, 0))) + above * jnp.pad(
            x, ((0, 0), (0, 1), (0, 0))
        )

    return jnp.stack([in_y(blended, 1 - fy, fy), in_y(slope, 1 - fy, fy), in_y(blended, -1, 1)])


def _powers(d):
    """1, d and d^2 along a new last axis."""
    return jnp.stack([jnp.ones_like(d), d, d * d], -1)


def _pad(x, count):
    """Zeros after the Gaussians (N, ...), up to `count` of them."""
    return jnp.pad(x, ((0, count - x.shape[0]), *((0, 0),) * (x.ndim - 1)))


def _matmul(a, b):
    """Product of 2 x 2 matrices, as sums: a matrix unit would round float32."""
    return (a[..., :, :, None] * b[..., None, :, :]).sum(-2)
