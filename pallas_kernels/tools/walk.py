"""How often the loops of splat2d's kernels run, and what they read, for the Gaussians of a case."""

from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from pallas_kernels.splat2d import factor, gather
from pallas_kernels.splat2d.shapes import Case
from pallas_kernels.tools import l1


class Tile(NamedTuple):
    """Pixels of a block forward, and its warps."""

    rows: int
    columns: int
    warps: int


class Sweep(NamedTuple):
    """What a block does backward: it takes `together` of its Gaussians at a time.

    `warps` of it run over the pixels of each: down strips of `columns`, `rows` at a time.
    """

    gaussians: int
    rows: int
    columns: int
    together: int = 1
    warps: int = 1


class Reached(NamedTuple):
    """The pixels of a frame that Gaussians reach, first to last, (F, P) int.

    Where last comes before first none is reached.
    """

    left: np.ndarray
    right: np.ndarray
    top: np.ndarray
    bottom: np.ndarray

    def meets(self, top: Any, left: Any, tile: Tile) -> np.ndarray:
        """Whether Gaussians reach a pixel of tiles, by their first row and column."""
        below = (self.top < top + tile.rows) & (self.bottom >= top) & (self.top <= self.bottom)
        beside = (self.left < left + tile.columns) & (self.right >= left)
        return below & beside & (self.left <= self.right)


class Work(NamedTuple):
    """What a kernel does for a frame."""

    trips: tuple[float, ...]
    """Of warps, through the kernel and each loop around the one that draws."""
    pixels: float
    """Pairs of a pixel and a Gaussian that it evaluates."""
    blocks: int


def reached(case: Case, sort: bool) -> Reached:
    """Of the case's Gaussians and those that fill up their chunks, perhaps along the curve."""
    geometry = gather.Geometry(case.height, case.width, case.window, jnp.dtype("float32"), False)
    mean, scale, rotation, _ = map(jnp.asarray, case.arguments())
    if sort:
        order = jnp.argsort(gather.curve(geometry, mean), axis=-1)[..., None]
        mean, scale = (jnp.take_along_axis(x, order, axis=1) for x in (mean, scale))
        rotation = jnp.take_along_axis(rotation, order[..., 0], axis=1)
    packed = np.asarray(gather.pack(geometry, mean, factor.factor_of(scale, rotation)))
    bounds: list[np.ndarray] = []
    for axis, size in ((0, case.width), (1, case.height)):
        centre, reach = packed[:, axis], packed[:, axis + 5]
        bounds.append(np.clip(np.ceil(centre - reach), 0, size).astype(int))
        bounds.append(np.clip(np.floor(centre + reach), -1, size - 1).astype(int))
    return Reached(*bounds)


def drawing(case: Case, tile: Tile, gaussians: Reached) -> Work:
    """Forward: each tile tests chunks of Gaussians and draws those that reach it."""
    down, across = -(-case.height // tile.rows), -(-case.width // tile.columns)
    frames, count = gaussians.left.shape
    chunks = count // gather.CHUNK
    hits = near = 0.0
    for top in range(0, down * tile.rows, tile.rows):
        for left in range(0, across * tile.columns, tile.columns):
            hits += float(gaussians.meets(top, left, tile).sum())
            near += float(_near(gaussians, top, left, tile).sum())
    tiles = down * across
    trips = [tiles, tiles * chunks]
    if chunks * gather.CHUNK > gather.SORTED:
        trips = [tiles, tiles * -(-chunks // gather.CHUNK), near / frames]
    pixels = hits / frames * tile.rows * tile.columns
    return Work(tuple(float(x * tile.warps) for x in trips), pixels, tiles)


def _near(gaussians, top, left, tile):
    """Whether the box of each chunk meets a tile, (F, P / CHUNK)."""
    used = (gaussians.left <= gaussians.right) & (gaussians.top <= gaussians.bottom)

    def box(x, outside, reduce):
        x = np.where(used, x, outside)
        return reduce(x.reshape(len(x), -1, gather.CHUNK), axis=-1)

    boxes = (
        box(gaussians.left, 10**6, np.min),
        box(gaussians.right, -1, np.max),
        box(gaussians.top, 10**6, np.min),
        box(gaussians.bottom, -1, np.max),
    )
    return Reached(*boxes).meets(top, left, tile)


def pulling(case: Case, sweep: Sweep, gaussians: Reached) -> Work:
    """Backward: each Gaussian runs over its pixels.

    Those of a block that do so together take as many steps as the largest.
    """
    frames, count = gaussians.left.shape
    strips, steps = _steps(sweep, gaussians)
    outer, inner = strips.sum() / frames, (strips * steps).sum() / frames
    together = sweep.together * sweep.warps
    trips = (count / sweep.gaussians * together, count * sweep.warps, outer * together)
    pixels = inner * sweep.together * sweep.rows * sweep.columns
    return Work(trips, pixels, count // sweep.gaussians)


def _steps(sweep, gaussians):
    """Strips, and steps down each, of all that are swept together, (F, P / together)."""

    def most(first, last, size):
        steps = np.maximum(-(-(last - first + 1) // size), 0)
        return steps.reshape(len(steps), -1, sweep.together).max(-1)

    strips = most(gaussians.left, gaussians.right, sweep.columns)
    none = gaussians.left > gaussians.right
    return strips, most(gaussians.top, np.where(none, -1, gaussians.bottom), sweep.rows)


def reads_drawing(case: Case, tile: Tile, gaussians: Reached, block: int) -> Iterator[l1.Step]:
    """What a block reads, forward: a step is the test of a chunk and the Gaussians that hit."""
    across = -(-case.width // tile.columns)
    frame, place = divmod(block, -(-case.height // tile.rows) * across)
    here = Reached(*(x[[frame % len(x)]] for x in gaussians))
    top, left = place // across * tile.rows, place % across * tile.columns
    count = here.left.shape[1]
    hit = here.meets(top, left, tile)[0].reshape(-1, gather.CHUNK)
    skip = count > gather.SORTED
    near = _near(here, top, left, tile)[0] if skip else np.full(len(hit), True)
    amplitude = 4 * case.channels
    start = frame * count * (28 + amplitude)
    for chunk in np.flatnonzero(near):
        rows = [start + 4 * (row * count + chunk * gather.CHUNK) for row in (0, 1, 5, 6)]
        step = [(row, row + 4 * gather.CHUNK) for row in rows]
        for index in np.flatnonzero(hit[chunk]) + chunk * gather.CHUNK:
            ones = [start + 4 * (row * count + index) for row in range(7)]
            last = start + 28 * count + index * amplitude
            step += [*((one, one + 4) for one in ones), (last, last + amplitude)]
        yield [(int(a), int(b)) for a, b in step]


def reads_pulling(case: Case, sweep: Sweep, gaussians: Reached, block: int) -> Iterator[l1.Step]:
    """What a block reads of the cotangent: a step is one of every Gaussian that is swept now."""
    frame, place = divmod(block, gaussians.left.shape[1] // sweep.gaussians)
    here = Reached(*(x[frame % len(x)] for x in gaussians))
    pixel = 4 * case.channels
    start = frame * case.height * case.width * pixel
    for first in range(place * sweep.gaussians, (place + 1) * sweep.gaussians, sweep.together):
        boxes = [
            (here.left[i], here.right[i], here.top[i], here.bottom[i])
            for i in range(first, first + sweep.together)
            if here.left[i] <= here.right[i] and here.top[i] <= here.bottom[i]
        ]
        high = max((1 + bottom - top for *_, top, bottom in boxes), default=0)
        wide = max((1 + right - left for left, right, *_ in boxes), default=0)
        for x, y in product(range(0, wide, sweep.columns), range(0, high, sweep.rows)):
            step = []
            for left, right, top, bottom in boxes:
                low, end = left + x, min(left + x + sweep.columns, right + 1)
                for row in range(top + y, min(top + y + sweep.rows, bottom + 1)):
                    if low < end:
                        line = start + row * case.width * pixel
                        step.append((int(line + low * pixel), int(line + end * pixel)))
            yield step
