"""The part of the portable implementation for accelerators: no loop over Gaussians, no scatter.

Forward, a tile of pixels reads the Gaussians whose window can reach it. They are sorted by cells as
large as a tile, at least as wide as a window reaches, so these lie in the tile's cell and the eight
around it. Every step of a loop draws GROUP of them into every tile, as one product of their values
with their amplitudes, until no tile has any left. Without a window, the frame is the only tile.

Backward, a Gaussian reads the patch of the cotangent that it reaches, and reduces it to moments.
This is one gather, which XLA for TPUs may still turn into a loop over patches, on the device.

Every sum has a fixed order, so that a run repeats bit for bit, and no list has a capacity. Both
directions hold VALUES values of pixels and Gaussians at a time, or of one frame and one group.
"""

from functools import partial
from math import prod

import jax
import jax.numpy as jnp
import numpy as np

from pallas_kernels.splat2d.patch import blend, offsets, place, unblend, value

VALUES = 2**24
"""Values of Gaussians at pixels that are held at a time: 64 MiB of float32."""

GROUP = 32
"""Gaussians that a step draws into each tile."""

LEAST = 4
"""The least side of a tile, in pixels: 16 of them fill the rows of a matrix unit."""


def forward(geometry, mean, whiten, amplitude):
    """(F, 2, N), (F, 2, 2, N), (F, C, N) -> (F, H, W, C)."""
    height, width = _tile(geometry)
    pixels = -(-geometry.height // height) * height * -(-geometry.width // width) * width
    frames = max(1, VALUES // (pixels * min(GROUP, mean.shape[-1])))
    rows = _rows(mean, whiten, amplitude)
    return _in_batches(partial(_draw, geometry), frames, rows)


def moments(geometry, mean, whiten, amplitude, cotangent):
    """The sums over each patch from which the gradients follow: see `xla.splat_with`."""
    frames, channels, count = amplitude.shape
    rows, columns = geometry.patch
    frame = jnp.repeat(jnp.arange(frames, dtype=jnp.int32), count)
    gaussians = _rows(mean, whiten, amplitude).reshape(frames * count, -1)
    cotangent = cotangent.transpose(0, 3, 1, 2)
    if geometry.sampling == "bilinear":
        cotangent = jnp.pad(cotangent, ((0, 0), (0, 0), (1, 1), (1, 1)))
    reduce = partial(_reduce, geometry, cotangent)
    sums = _in_batches(reduce, max(1, VALUES // (rows * columns * channels)), frame, gaussians)
    sums = sums.reshape(frames, count, -1).mT
    return sums[:, :channels], sums[:, channels:]


def _draw(geometry, gaussians):
    """Draws the frames of Gaussians (F, N, 6 + C), which are rows as `_rows` makes them."""
    frames, count, width = gaussians.shape
    rows, columns = _tile(geometry)
    down, right = -(-geometry.height // rows), -(-geometry.width // columns)
    gaussians, first, length = _lists(geometry, gaussians, down, right)
    dtype, group = gaussians.dtype, min(GROUP, count)
    y = jnp.arange(down * rows, dtype=dtype).reshape(1, down, 1, rows, 1, 1)
    x = jnp.arange(right * columns, dtype=dtype).reshape(1, 1, right, 1, columns, 1)

    def step(i, canvas):
        places = _places(first, length, i * group + jnp.arange(group, dtype=jnp.int32))
        near = gaussians.at[places].get(mode="fill", fill_value=0)  # (F, down, right, group, 6 + C)
        mean, whiten, amplitude = _parts(near)
        mean, whiten = (a[..., None, None, :] for a in (mean, whiten))
        if geometry.sampling == "bilinear":
            corner = jnp.floor(mean)
            drawn = partial(value, geometry, whiten)
            drawn = blend(drawn, x - corner[0], y - corner[1], *(mean - corner))
        else:
            drawn = value(geometry, whiten, x - mean[0], y - mean[1])
        return canvas + jnp.einsum("fdryxg,fdrgc->fdryxc", drawn, amplitude, precision="highest")

    steps = -(-length.sum(0).max() // group)
    canvas = jnp.zeros((frames, down, right, rows, columns, width - 6), dtype)
    canvas = jax.lax.fori_loop(0, steps, step, canvas)
    canvas = canvas.swapaxes(2, 3).reshape(frames, down * rows, right * columns, -1)
    return canvas[:, : geometry.height, : geometry.width]


def _lists(geometry, gaussians, down, right):
    """The Gaussians (F, N, 6 + C) that each of down x right tiles reads.

    Returns:
        Those of all frames in some order, (F N, 6 + C); and the first and the number of those that
        a tile reads there, in several ranges: (ranges, F, down, right) int32 each.
    """
    frames, count, width = gaussians.shape
    flat = gaussians.reshape(-1, width)
    if geometry.window is None:
        first = count * np.arange(frames, dtype=np.int32).reshape(1, -1, 1, 1)
        return flat, first, np.full_like(first, count)
    shape = frames, down + 2, right + 2  # one cell beyond the frame on each side
    rows, columns = _tile(geometry)
    tile = np.array([[[columns, rows]]], np.int32)
    size = np.array([[[right, down]]], np.int32) * tile
    corner = jnp.floor(gaussians[..., :2])
    # A NaN is not far, and gets some cell: it has to be seen.
    far = ((corner < -tile) | (corner >= size + tile)).any(-1)
    column, row = jnp.moveaxis(jnp.clip(corner.astype(jnp.int32), -tile, size) // tile + 1, -1, 0)
    frame = jnp.arange(frames, dtype=jnp.int32)[:, None]
    cell = (frame * shape[1] + row) * shape[2] + column
    cell = jnp.where(far, prod(shape), cell).reshape(-1)
    order = jnp.argsort(cell)
    bounds = _less(cell[order], jnp.arange(prod(shape) + 1, dtype=jnp.int32))
    # Three cells in a row are one range.
    starts, ends = bounds[:-1].reshape(shape)[..., :-2], bounds[1:].reshape(shape)[..., 2:]
    first, last = (jnp.stack([x[:, i : i + down] for i in range(3)]) for x in (starts, ends))
    return flat[order], first, last - first


def _less(ordered, bounds):
    """How many of the ordered int32 (n,) are less than each bound, by bisection."""
    less, count = jnp.zeros_like(bounds), ordered.shape[0]
    # jax.export's symbolic sizes may turn out to be any that int32 can count.
    bits = count.bit_length() if isinstance(count, int) else 31
    for bit in reversed(range(bits)):
        more = less + 2**bit
        last = ordered.at[more - 1].get(mode="fill", fill_value=np.iinfo(np.int32).max)
        less = jnp.where(last < bounds, more, less)
    return less


def _places(first, length, steps):
    """Where the Gaussians numbered `steps` (G,) of each tile lie, (F, down, right, G).

    Those beyond the last one lie beyond the array.
    """
    places = jnp.int32(np.iinfo(np.int32).max)
    ends, steps = length.cumsum(0), steps[None, None, None]
    for start, end in zip((first - ends + length)[::-1], ends[::-1], strict=True):
        places = jnp.where(steps < end[..., None], start[..., None] + steps, places)
    return places


def _reduce(geometry, cotangent, frame, gaussians):
    """The sums of some Gaussians (n, 6 + C), given the number of the frame (n,) of each.

    Args:
        geometry: of the frames.
        cotangent: (F, C, H, W), in bilinear mode with a margin of one pixel of zeros.
        frame: int32.
        gaussians: rows as `_rows` makes them.

    Returns:
        (n, C + 5), in bilinear mode (n, C + 7): the gradient by amplitude, then the moments.
    """
    mean, whiten, amplitude = _parts(gaussians)
    amplitude = amplitude[..., None, None]
    (row, column), (rows, columns) = place(geometry, mean), geometry.patch
    bilinear = geometry.sampling == "bilinear"
    if bilinear:
        corner = jnp.floor(mean)
        fraction = (mean - corner)[..., None, None, None]
        mean, row, column, rows, columns = corner, row - 1, column - 1, rows + 1, columns + 1

    def read(down, right):
        def patch(*origin):
            return jax.lax.dynamic_slice(cotangent, origin, (1, amplitude.shape[1], rows, columns))

        zero = jnp.zeros_like(frame)
        return jax.vmap(patch)(frame, zero, row + down, column + right)[:, 0]

    if bilinear:
        kinds = unblend(read(1, 1), read(1, 2), read(2, 1), read(2, 2), *fraction)
    else:
        kinds = [read(0, 0)]
    x = offsets(column, columns, mean[0]).T[:, None, :]
    y = offsets(row, rows, mean[1]).T[:, :, None]
    drawn = value(geometry, whiten[..., None, None], x, y)
    d_amplitude = (kinds[0] * drawn[:, None]).sum((2, 3))
    weighed, *slopes = (drawn * (amplitude * kind).sum(1) for kind in kinds)
    x_weighed, y_weighed = weighed * x, weighed * y
    parts = [x_weighed, y_weighed, x_weighed * x, x_weighed * y, y_weighed * y, *slopes]
    sums = jnp.stack([part.sum((1, 2)) for part in parts], 1)
    return jnp.concatenate([d_amplitude, sums], 1)


def _tile(geometry):
    """Rows and columns of a tile: at least as many as a window reaches from its mean's floor."""
    if geometry.window is None:
        return geometry.height, geometry.width
    side = max(LEAST, (geometry.window + 1) // 2)
    return min(side, geometry.height), min(side, geometry.width)


def _rows(mean, whiten, amplitude):
    """Mean, whiten and amplitude of a Gaussian in a row, (F, N, 6 + C)."""
    frames, _, count = mean.shape
    return jnp.concatenate([mean, whiten.reshape(frames, 4, count), amplitude], 1).mT


def _parts(rows):
    """Of rows (..., 6 + C): mean (2, ...), whiten (2, 2, ...) and amplitude (..., C)."""
    mean, whiten = jnp.moveaxis(rows[..., :2], -1, 0), jnp.moveaxis(rows[..., 2:6], -1, 0)
    return mean, whiten.reshape(2, 2, *rows.shape[:-1]), rows[..., 6:]


def _in_batches(function, size, *arrays):
    """function(*arrays), at most `size` of the leading axis at a time, filled up by zeros."""
    count = arrays[0].shape[0]
    batches = -(-count // size)
    size = -(-count // batches)

    def split(x):
        x = jnp.pad(x, [(0, batches * size - count)] + [(0, 0)] * (x.ndim - 1))
        return x.reshape(batches, size, *x.shape[1:])

    out = jax.lax.map(lambda batch: function(*batch), tuple(map(split, arrays)))
    return out.reshape(batches * size, *out.shape[2:])[:count]
