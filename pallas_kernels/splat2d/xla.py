"""The portable implementation: one patch at a time, never an N x H x W array.

A Gaussian touches the patch of pixels that its window can reach, or the whole frame without a
window. Forward, the patches of a frame are added to it one after the other. Backward, the same
patches of the cotangent are read and reduced to moments, from which every gradient follows. So both
directions hold their inputs, their outputs and a few patches.

The patch is moved to lie inside the frame, so that nothing is padded and a Gaussian off the frame
needs no special case; what lies in the patch but not in the window is zero.
"""

from functools import partial
from math import sqrt
from typing import NamedTuple

import jax
import jax.numpy as jnp

from pallas_kernels.batching import differentiable
from pallas_kernels.splat2d.reference import MAX_MEAN, whitening

VECTOR = 8
"""Patches are as wide as the window rounded up to this many pixels: one AVX2 register of floats."""

CHUNK = 2**16
"""Patch values held before they are reduced in the backward pass; 256 kB of float32, which fits in
the second-level cache of current CPUs."""

UNROLL = 8
"""Gaussians added to the frame at a time when each touches all of it."""

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


def splat(mean, scale, rotation, amplitude, *, height, width, window, sampling, dtype):
    """Sums the Gaussians of every frame, (F, N, ...) -> (F, H, W, C): see `splat2d`."""
    render = _render(_Geometry(height, width, window, sampling))
    mean = jnp.clip(mean, -MAX_MEAN, MAX_MEAN)
    # The square root of the 1/2 in exp(-|M d|^2 / 2) saves a multiplication a pixel.
    return render(mean, whitening(scale, rotation) * sqrt(0.5), amplitude).astype(dtype)


def _forward(geometry, mean, whiten, amplitude):
    """(F, N, 2), (F, N, 2, 2), (F, N, C) -> (F, H, W, C)."""
    height, width, channels = geometry.height, geometry.width, amplitude.shape[-1]

    def add(canvas, gaussian):
        mean, whiten, amplitude = gaussian
        origin = _origin(geometry, mean)
        patch = _read(canvas, origin, geometry.patch)
        patch += amplitude[:, None, None] * _weights(geometry, mean, whiten, origin)[None]
        return jax.lax.dynamic_update_slice(canvas, patch, (jnp.int32(0), *origin)), None

    def frame(gaussians):
        canvas = jnp.zeros((channels, height, width), amplitude.dtype)
        # Updates of the whole frame fuse, those of patches do not.
        unroll = UNROLL if geometry.patch == (height, width) else 1
        return jax.lax.scan(add, canvas, gaussians, unroll=unroll)[0].transpose(1, 2, 0)

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
        cotangent = cotangent.transpose(2, 0, 1)
        if geometry.sampling == "bilinear":
            cotangent = jnp.pad(cotangent, ((0, 0), (1, 1), (1, 1)))
        reduce = partial(_moments, geometry, cotangent)
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
        cotangent: (C, H, W), in bilinear mode with a margin of one pixel of zeros.
        mean: (G, 2).
        whiten: (G, 2, 2).

    Returns:
        (G, kinds, C, 3, 3): element i, j is the sum of cotangent x value x dy^i x dx^j. The first
        kind is the value itself; in bilinear mode its slopes in mean x and mean y follow.
    """

    def weigh(gaussian):
        mean, whiten = gaussian
        origin = _origin(geometry, mean)
        if geometry.sampling == "bilinear":
            kinds = _unblend(geometry, cotangent, origin, *(mean - jnp.floor(mean)))
        else:
            kinds = [_read(cotangent, origin, geometry.patch)]
        value = _value(geometry, whiten, *_lattice(geometry, mean, origin))
        return [kind * value[None] for kind in kinds]

    weighed = jax.lax.map(weigh, (mean, whiten))
    x, y = jax.vmap(lambda mean: _lattice(geometry, mean, _origin(geometry, mean)))(mean)
    return jnp.stack([_reduce(kind, _powers(x), _powers(y)) for kind in weighed], 1)


def _reduce(weighed, powers_x, powers_y):
    """Sums (G, C, rows, columns) over rows and columns with the powers of each Gaussian's offsets.

    Powers shared by all Gaussians would need one product instead of a batch of them, but would be
    taken about the centre of the patch and lose digits when moved to a mean far from it.
    """
    group, channels, rows, columns = weighed.shape
    by_row = jnp.einsum(
        "gyx,gxj->gyj", weighed.reshape(group, -1, columns), powers_x, precision="highest"
    )
    # One batch axis, not two: this is what XLA turns into one product without transposing.
    powers_y = jnp.repeat(powers_y, channels, 0)
    moments = jnp.einsum("byi,byj->bij", powers_y, by_row.reshape(-1, rows, 3), precision="highest")
    return moments.reshape(group, channels, 3, 3)


def _origin(geometry, mean):
    """First row and column of the patch: in the frame, and around all that the window reaches."""
    rows, columns = geometry.patch
    first = jnp.floor(mean) - (geometry.window or 0) // 2
    row = jnp.clip(first[1], 0, geometry.height - rows).astype(jnp.int32)
    column = jnp.clip(first[0], 0, geometry.width - columns).astype(jnp.int32)
    return row, column


def _weights(geometry, mean, whiten, origin):
    """What a Gaussian of amplitude 1 adds to the pixels of its patch (rows, columns)."""
    (row, column), (rows, columns) = origin, geometry.patch
    if geometry.sampling == "exact":
        return _value(geometry, whiten, *_lattice(geometry, mean, origin))
    corner = jnp.floor(mean)
    fx, fy = mean - corner
    x, y = _range(column, columns, corner[0]), _range(row, rows, corner[1])
    # Evaluated four times, since slices of one evaluation would not vectorise.
    upper = (1 - fx) * _value(geometry, whiten, x, y) + fx * _value(geometry, whiten, x - 1, y)
    y = y - 1
    lower = (1 - fx) * _value(geometry, whiten, x, y) + fx * _value(geometry, whiten, x - 1, y)
    return (1 - fy) * upper + fy * lower


def _lattice(geometry, mean, origin):
    """Points where a Gaussian is evaluated, relative to its mean: x (columns,) and y (rows,).

    They are the pixels of its patch; in bilinear mode the lattice points of which these are
    blended, one row and one column more.
    """
    (row, column), (rows, columns) = origin, geometry.patch
    if geometry.sampling == "bilinear":
        row, column, rows, columns = row - 1, column - 1, rows + 1, columns + 1
        mean = jnp.floor(mean)
    return _range(column, columns, mean[0]), _range(row, rows, mean[1])


def _range(first, count, zero):
    return (first + jnp.arange(count, dtype=jnp.int32)).astype(zero.dtype) - zero


def _value(geometry, whiten, x, y):
    """exp(-|M d|^2) at d = (x, y) for x (columns,) and y (rows,), zero outside the window."""
    x, y = x[None, :], y[:, None]
    u = whiten[0, 0] * x + whiten[0, 1] * y
    v = whiten[1, 0] * x + whiten[1, 1] * y
    exponent = -(u * u + v * v)
    if geometry.window is not None:
        half = geometry.window / 2
        beyond_x, beyond_y = jnp.abs(x) > half, jnp.abs(y) > half
        exponent += jnp.where(beyond_x, OUTSIDE, 0) + jnp.where(beyond_y, OUTSIDE, 0)
    return jnp.exp(exponent)


def _unblend(geometry, cotangent, origin, fx, fy):
    """The transpose of the bilinear blend, and of its slopes in fx and fy, at the lattice points.

    Args:
        geometry: of the frame.
        cotangent: (C, H + 2, W + 2), with one pixel of zeros around the frame.
        origin: row and column of the patch.
        fx: fractional part of the mean's x.
        fy: of its y.

    Returns:
        Three arrays (C, rows + 1, columns + 1). At the edges of the patch pixels beyond it are
        read; they belong to lattice points outside the window, where the value is zero.
    """
    (row, column), (rows, columns) = origin, geometry.patch

    def read(down, right):  # slices of one larger slice would not vectorise
        return _read(cotangent, (row + down, column + right), (rows + 1, columns + 1))

    nw, ne, sw, se = read(0, 0), read(0, 1), read(1, 0), read(1, 1)
    north, south = (1 - fx) * nw + fx * ne, (1 - fx) * sw + fx * se
    value = (1 - fy) * north + fy * south
    slope_x = (1 - fy) * (ne - nw) + fy * (se - sw)
    return [value, slope_x, south - north]


def _read(frame, origin, shape):
    """The patch of a frame (C, H, W) that starts at origin (row, column)."""
    return jax.lax.dynamic_slice(frame, (jnp.int32(0), *origin), (frame.shape[0], *shape))


def _powers(d):
    """1, d and d^2 along a new last axis."""
    return jnp.stack([jnp.ones_like(d), d, d * d], -1)


def _pad(x, count):
    """Zeros after the Gaussians (N, ...), up to `count` of them."""
    return jnp.pad(x, ((0, count - x.shape[0]), *((0, 0),) * (x.ndim - 1)))


def _matmul(a, b):
    """Product of 2 x 2 matrices, as sums: a matrix unit would round float32."""
    return (a[..., :, :, None] * b[..., None, :, :]).sum(-2)


_render = differentiable(_forward, _backward)
