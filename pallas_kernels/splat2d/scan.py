"""The part of the portable implementation for CPUs: a patch at a time, never an N x H x W array.

A Gaussian touches the patch of pixels that its window can reach, or the whole frame without a
window. Forward, the patches of a frame are added to it one after the other. Backward, the same
patches of the cotangent are read and reduced to moments. So both directions hold their inputs,
their outputs and a few patches. Small patches go to scatter.py, which does the same for many of
them at once.
"""

from functools import partial

import jax
import jax.numpy as jnp

from pallas_kernels.splat2d.patch import blend, evaluate, offsets, place, unblend

CHUNK = 2**16
"""Patch values held before they are reduced in the backward pass; 256 kB of float32, which fits in
the second-level cache of current CPUs."""

UNROLL = 8
"""Gaussians added to the frame at a time when each touches all of it."""


def forward(geometry, mean, whiten, amplitude):
    """(F, 2, N), (F, 2, 2, N), (F, C, N) -> (F, H, W, C)."""
    height, width, channels = geometry.height, geometry.width, amplitude.shape[1]

    def add(canvas, gaussian):
        mean, whiten, amplitude = gaussian
        origin = place(geometry, mean)
        patch = _read(canvas, origin, geometry.patch)
        patch += amplitude[:, None, None] * _weights(geometry, mean, whiten, origin)[None]
        return jax.lax.dynamic_update_slice(canvas, patch, (jnp.int32(0), *origin)), None

    def frame(gaussians):
        canvas = jnp.zeros((channels, height, width), amplitude.dtype)
        # Updates of the whole frame fuse, those of patches do not.
        unroll = UNROLL if geometry.patch == (height, width) else 1
        return jax.lax.scan(add, canvas, gaussians, unroll=unroll)[0].transpose(1, 2, 0)

    return jax.lax.map(frame, tuple(jnp.moveaxis(x, -1, 1) for x in (mean, whiten, amplitude)))


def moments(geometry, mean, whiten, amplitude, cotangent):
    """The sums over each patch from which the gradients follow: see `xla.splat_with`."""
    by_channel, *slopes = _all_moments(geometry, mean, whiten, cotangent)
    sums = [by_channel[i, j] for i, j in MOMENTS] + [slope[0, 0] for slope in slopes]
    return by_channel[0, 0], jnp.stack([(amplitude * x).sum(1) for x in sums], 1)


MOMENTS = ((0, 1), (1, 0), (0, 2), (1, 1), (2, 0))
"""Powers of y and x in the moments x, y, x^2, xy and y^2."""


def _all_moments(geometry, mean, whiten, cotangent):
    """The moments of every Gaussian, (kinds, 3, 3, F, C, N), a few patches at a time."""
    count, channels = mean.shape[-1], cotangent.shape[-1]
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

    mean, whiten = jnp.moveaxis(mean, -1, 1), jnp.moveaxis(whiten, -1, 1)
    moments = jax.lax.map(frame, (mean, whiten, cotangent))  # (F, N, kinds, C, 3, 3)
    return moments.transpose(2, 4, 5, 0, 3, 1)


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
        origin = place(geometry, mean)
        if geometry.sampling == "bilinear":
            kinds = _unblend(geometry, cotangent, origin, *(mean - jnp.floor(mean)))
        else:
            kinds = [_read(cotangent, origin, geometry.patch)]
        value = evaluate(geometry, whiten, *_lattice(geometry, mean, origin))
        return [kind * value[None] for kind in kinds]

    weighed = jax.lax.map(weigh, (mean, whiten))
    x, y = jax.vmap(lambda mean: _lattice(geometry, mean, place(geometry, mean)))(mean)
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


def _weights(geometry, mean, whiten, origin):
    """What a Gaussian of amplitude 1 adds to the pixels of its patch (rows, columns)."""
    (row, column), (rows, columns) = origin, geometry.patch
    if geometry.sampling == "exact":
        return evaluate(geometry, whiten, *_lattice(geometry, mean, origin))
    corner = jnp.floor(mean)
    fx, fy = mean - corner
    x, y = offsets(column, columns, corner[0]), offsets(row, rows, corner[1])
    # Evaluated four times, since slices of one evaluation would not vectorise.
    return blend(partial(evaluate, geometry, whiten), x, y, fx, fy)


def _lattice(geometry, mean, origin):
    """Points where a Gaussian is evaluated, relative to its mean: x (columns,) and y (rows,).

    They are the pixels of its patch; in bilinear mode the lattice points of which these are
    blended, one row and one column more.
    """
    (row, column), (rows, columns) = origin, geometry.patch
    if geometry.sampling == "bilinear":
        row, column, rows, columns = row - 1, column - 1, rows + 1, columns + 1
        mean = jnp.floor(mean)
    return offsets(column, columns, mean[0]), offsets(row, rows, mean[1])


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

    return unblend(read(0, 0), read(0, 1), read(1, 0), read(1, 1), fx, fy)


def _read(frame, origin, shape):
    """The patch of a frame (C, H, W) that starts at origin (row, column)."""
    return jax.lax.dynamic_slice(frame, (jnp.int32(0), *origin), (frame.shape[0], *shape))


def _powers(d):
    """1, d and d^2 along a new last axis."""
    return jnp.stack([jnp.ones_like(d), d, d * d], -1)


def _pad(x, count):
    """Zeros after the Gaussians (N, ...), up to `count` of them."""
    return jnp.pad(x, ((0, count - x.shape[0]), *((0, 0),) * (x.ndim - 1)))
