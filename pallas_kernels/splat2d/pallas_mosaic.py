"""The forward kernel in Pallas for Mosaic GPU (Hopper and newer).

A program owns a tile of pixels and keeps its sums in registers. It tests CHUNK Gaussians at a time
against the tile, one in each lane, packs the answers into the bits of a word and runs over those
that are set. Every warp makes the same test, so that the word needs no shared memory.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import pallas as pl

from pallas_kernels.splat2d import mosaic_gpu, pallas_mosaic_vjp
from pallas_kernels.splat2d.gather import CHUNK, FEW, OUTSIDE, splat_with
from pallas_kernels.splat2d.loops import Area, for_each_bit
from pallas_kernels.splat2d.mosaic_gpu import COLUMNS, ROWS, ballot_false, load_lanes
from pallas_kernels.splat2d.tuned import tuned


class Tile(NamedTuple):
    """How a program's pixels lie over its threads.

    A thread owns the same pixel in each of `down` x `across` patches.
    """

    down: int
    across: int

    @property
    def rows(self):
        """Of pixels."""
        return self.down * ROWS

    @property
    def columns(self):
        """Of pixels."""
        return self.across * COLUMNS


def forward(geometry, gaussians, amplitude, boxes, tile: Tile | None = None):
    """(F, 7, P), (F, P, C) -> (F, H, W, C): see `gather.splat_with`."""
    frames, channels = amplitude.shape[0], amplitude.shape[-1]
    if tile is None:
        options = tuned("pallas_mosaic", geometry, channels)
        tile = Tile(**options) if options else tile_for(geometry.window)
    passes = pl.cdiv(channels, FEW)
    amplitude = jnp.pad(amplitude, ((0, 0), (0, 0), (0, -channels % passes)))
    down = pl.cdiv(geometry.height, tile.rows)
    across = pl.cdiv(geometry.width, tile.columns)
    # Mosaic stores whole patches: what they hold beyond the frame is cut off here.
    shape = (frames, down * tile.rows, across * tile.columns, channels)
    out = mosaic_gpu.call(
        partial(_kernel, tile, across, down * across, passes),
        geometry,
        "splat2d",
        frames * down * across * passes,
        jax.ShapeDtypeStruct(shape, geometry.dtype),
    )(gaussians, amplitude, *([] if boxes is None else [boxes]))
    return out[:, : geometry.height, : geometry.width]


def tile_for(window: int | None) -> Tile:
    """Small tiles for small windows, which would reach few pixels of a large one."""
    if window is None or window > 32:
        return Tile(down=4, across=2)
    return Tile(down=2, across=2) if window > 16 else Tile(down=2, across=1)


def _kernel(tile: Tile, across, tiles, passes, gaussians, amplitude, *refs):
    *boxes, frames = refs
    channels, size = frames.shape[-1], amplitude.shape[-1] // passes
    place, first_channel = mosaic_gpu.program() // passes, mosaic_gpu.program() % passes * size
    frame, place = place // tiles, place % tiles
    top, left = place // across * tile.rows, place % across * tile.columns
    row, column = mosaic_gpu.pixels()
    rows = [(top + i * ROWS + row).astype(jnp.float32) for i in range(tile.down)]
    columns = [(left + i * COLUMNS + column).astype(jnp.float32) for i in range(tile.across)]
    first_x, first_y = left.astype(jnp.float32), top.astype(jnp.float32)
    area = Area(first_x, first_x + (tile.columns - 1), first_y, first_y + (tile.rows - 1))

    def add(index, sums):
        mean_x, mean_y, a, b, c, reach_x, reach_y = (gaussians[frame, k, index] for k in range(7))
        amplitudes = [amplitude[frame, index, first_channel + k] for k in range(size)]
        # Beyond its reach a Gaussian is zero: u or v is made huge for the whole column or row.
        dxs, dys = [x - mean_x for x in columns], [y - mean_y for y in rows]
        across_u = [jnp.where(jnp.abs(dx) > reach_x, OUTSIDE, a * dx) for dx in dxs]
        down_v = [jnp.where(jnp.abs(dy) > reach_y, OUTSIDE, c * dy) for dy in dys]
        values = [
            jnp.exp2(-((part + b * dy) ** 2 + v * v))
            for dy, v in zip(dys, down_v, strict=True)
            for part in across_u
        ]
        return [
            [total + x * value for total, value in zip(channel, values, strict=True)]
            for channel, x in zip(sums, amplitudes, strict=True)
        ]

    def add_chunk(chunk, sums):
        lanes = (load_lanes(gaussians.at[frame, k], chunk * CHUNK) for k in (0, 1, 5, 6))
        bits = ballot_false(area.missed(*lanes))
        return for_each_bit(bits, lambda bit, sums: add(chunk * CHUNK + bit, sums), sums)

    def add_chunks(group, sums):
        lanes = (load_lanes(boxes[0].at[frame, k], group * CHUNK) for k in range(4))
        bits = ballot_false(area.outside(*lanes))
        return for_each_bit(bits, lambda bit, sums: add_chunk(group * CHUNK + bit, sums), sums)

    sums = [[mosaic_gpu.zeros()] * (tile.down * tile.across)] * size
    if boxes:
        sums = jax.lax.fori_loop(
            np.int32(0), np.int32(boxes[0].shape[-1] // CHUNK), add_chunks, sums
        )
    else:
        sums = jax.lax.fori_loop(
            np.int32(0), np.int32(gaussians.shape[-1] // CHUNK), add_chunk, sums
        )

    for k in range(size):

        @pl.when(first_channel + k < channels)
        def store(k=k):
            for i, total in enumerate(sums[k]):
                y, x = top + i // tile.across * ROWS, left + i % tile.across * COLUMNS
                patch = (frame, pl.ds(y, ROWS), pl.ds(x, COLUMNS), first_channel + k)
                frames[patch] = total.astype(frames.dtype)


splat = splat_with(forward, pallas_mosaic_vjp.backward, mosaic_gpu.require)
