"""The part of the portable implementation for small patches: those of many Gaussians at once.

Where every pixel has a Gaussian, there are thousands, each of a few pixels, and a scan over them
spends its time on its steps. Here the patches of a chunk of Gaussians are evaluated together. A
scatter adds each value to its pixel, so it does not matter where the Gaussians lie; backward, a
gather reads the cotangent there. Gaussians are the last axis, so that loops over them vectorise.
"""

from functools import partial

import jax
import jax.numpy as jnp

from pallas_kernels.splat2d.patch import evaluate, offsets, place

CHUNK = 2**17
"""Patch values held at a time; a few arrays of 512 kB of float32 fit in a second-level cache."""

UNROLL = 4
"""Channels of which the loop is unrolled."""

IN_BOUNDS = "promise_in_bounds"  # patches lie in the frame


def forward(geometry, mean, whiten, amplitude):
    """(F, 2, N), (F, 2, 2, N), (F, C, N) -> (F, H, W, C)."""
    frames, channels, _ = amplitude.shape
    blank = jnp.zeros((channels, geometry.height * geometry.width), amplitude.dtype)

    def add(canvas, gaussians):
        mean, whiten, amplitude = jax.lax.optimization_barrier(gaussians)
        values, pixels, _, _ = _patches(geometry, mean, whiten)

        def channel(_, args):
            canvas, amplitude = args
            return None, canvas.at[pixels].add(amplitude * values, mode=IN_BOUNDS)

        channels = canvas, amplitude[:, None, None]
        return jax.lax.scan(channel, None, channels, unroll=UNROLL)[1], None

    chunks = _chunks(geometry, mean, whiten, amplitude)
    drawn = jax.lax.map(lambda chunks: jax.lax.scan(add, blank, chunks)[0], chunks)
    return drawn.mT.reshape(frames, geometry.height, geometry.width, channels)


def moments(geometry, mean, whiten, amplitude, cotangent):
    """The sums over each patch from which the gradients follow, given the cotangent (F, H, W, C).

    Returns:
        The cotangent of the amplitude (F, C, N), and the moments (F, 5, N) of sum_c amplitude_c
        cotangent_c x value: with the offsets x, y, x^2, xy and y^2.
    """
    frames, channels, count = amplitude.shape

    def reduce(cotangent, gaussians):
        mean, whiten, amplitude = jax.lax.optimization_barrier(gaussians)
        values, pixels, x, y = _patches(geometry, mean, whiten)

        def channel(weighed, args):
            cotangent, amplitude = args
            part = cotangent.at[pixels].get(mode=IN_BOUNDS) * values
            return weighed + amplitude * part, part.sum((0, 1))

        channels = cotangent, amplitude[:, None, None]
        blank = jnp.zeros_like(values)
        weighed, d_amplitude = jax.lax.scan(channel, blank, channels, unroll=UNROLL)
        weighed_x = weighed * x[None]
        row, row_x, row_xx = weighed.sum(1), weighed_x.sum(1), (weighed_x * x[None]).sum(1)
        sums = [row_x, row * y, row_xx, row_x * y, row * y * y]
        return d_amplitude, jnp.stack(sums).sum(1)

    def frame(args):
        chunks, cotangent = args
        return jax.lax.map(partial(reduce, cotangent), chunks)

    cotangent = cotangent.reshape(frames, -1, channels).mT
    found = jax.lax.map(frame, (_chunks(geometry, mean, whiten, amplitude), cotangent))
    # (F, chunks, k, n) -> (F, k, N)
    return tuple(x.swapaxes(1, 2).reshape(frames, x.shape[2], -1)[..., :count] for x in found)


def _patches(geometry, mean, whiten):
    """The patches of Gaussians: values, pixels (rows, columns, n), and offsets x, y from the mean.

    Without the barriers, here and where it is called, XLA would compute these anew, and not
    vectorised, for every element that is scattered.
    """
    (row, column), (rows, columns) = place(geometry, mean), geometry.patch
    x, y = offsets(column, columns, mean[0]), offsets(row, rows, mean[1])
    zero = jnp.zeros_like(row)
    down, right = offsets(row, rows, zero)[:, None], offsets(column, columns, zero)[None, :]
    pixels = down * geometry.width + right
    return *jax.lax.optimization_barrier((evaluate(geometry, whiten, x, y), pixels)), x, y


def _chunks(geometry, *arrays):
    """(F, ..., N) -> (F, chunks, ..., n), padded by Gaussians of amplitude 0."""
    count = arrays[0].shape[-1]
    rows, columns = geometry.patch
    chunks = -(-count * rows * columns // CHUNK)
    size = -(-count // chunks)

    def split(x):
        x = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, chunks * size - count)])
        return jnp.moveaxis(x.reshape(*x.shape[:-1], chunks, size), -2, 1)

    return tuple(map(split, arrays))
