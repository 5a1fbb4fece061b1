"""The forward kernel in Pallas for Triton (Ampere and newer), for few channels.

A program owns a tile of pixels and keeps its sums in registers. It tests CHUNK Gaussians at a time
against the tile, one in each lane, packs the answers into the bits of a word and runs over those
that are set. Gaussians that do not reach the tile cost a few instructions for each CHUNK of them.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton as plt

from pallas_kernels import gpu
from pallas_kernels.splat2d import pallas_triton_matrix, pallas_triton_vjp
from pallas_kernels.splat2d.gather import CHUNK, FEW, OUTSIDE, Geometry, splat_with
from pallas_kernels.splat2d.loops import Area, for_each_bit
from pallas_kernels.splat2d.tuned import tuned
from pallas_kernels.triton_math import as_row, ballot_false, exp2_minus, fma, place, start


class Tile(NamedTuple):
    """How a program's pixels lie over its threads.

    A thread owns the same pixel in each of `down` x `across` patches of `rows` x `columns`.
    """

    rows: int = 4
    columns: int = 8
    down: int = 4
    across: int = 4
    warps: int = 1


def forward(geometry, gaussians, amplitude, boxes, tile: Tile | None = None):
    """(F, 7, P), (F, P, C) -> (F, H, W, C): see `gather.splat_with`."""
    frames, channels = len(gaussians), amplitude.shape[-1]
    if channels > FEW:
        return pallas_triton_matrix.forward(geometry, gaussians, amplitude, boxes)
    if tile is None:  # no larger than the frame
        tile = Tile(**tuned("pallas_triton", geometry, channels))
        down, across = pl.cdiv(geometry.height, tile.rows), pl.cdiv(geometry.width, tile.columns)
        tile = tile._replace(down=min(tile.down, down), across=min(tile.across, across))
    down = pl.cdiv(geometry.height, tile.rows * tile.down)
    across = pl.cdiv(geometry.width, tile.columns * tile.across)

    def of_frame(*shape):
        return pl.BlockSpec((None, *shape), lambda i: (i // (down * across), *(0,) * len(shape)))

    rows = [as_row(x, down * across) for x in (gaussians, amplitude)]
    rows += [] if boxes is None else [(boxes, of_frame(*boxes.shape[1:]))]
    arrays, specs = zip(*rows, strict=True)
    return pl.pallas_call(
        partial(_kernel, geometry, tile, gaussians.shape[-1], across, down * across),
        grid=(frames * down * across,),
        in_specs=specs,
        out_specs=of_frame(geometry.height, geometry.width, channels),
        out_shape=jax.ShapeDtypeStruct(
            (frames, geometry.height, geometry.width, channels), geometry.dtype
        ),
        compiler_params=plt.CompilerParams(num_warps=tile.warps, num_stages=1),
        interpret=geometry.interpret,
        name="splat2d",
    )(*arrays)


def _kernel(geometry: Geometry, tile: Tile, count, across, tiles, gaussians, amplitude, *refs):
    *boxes, frame = refs
    channels = frame.shape[-1]
    first = start(gaussians, 7 * count, tiles)
    first_amplitude = start(amplitude, channels * count, tiles)
    here = pl.program_id(0) % tiles
    top = here // across * (tile.rows * tile.down)
    left = here % across * (tile.columns * tile.across)
    ys = [top + i * tile.rows + _iota(tile.rows)[:, None] for i in range(tile.down)]
    xs = [left + i * tile.columns + _iota(tile.columns)[None, :] for i in range(tile.across)]
    rows, columns = ([z.astype(jnp.float32) for z in zs] for zs in (ys, xs))
    first_x, first_y = left.astype(jnp.float32), top.astype(jnp.float32)
    area = Area(
        left=first_x,
        right=first_x + (tile.columns * tile.across - 1),
        top=first_y,
        bottom=first_y + (tile.rows * tile.down - 1),
    )

    def add(index, sums):
        at = place(gaussians, first + index)
        mean_x, mean_y, a, b, c, reach_x, reach_y = (gaussians[at + k * count] for k in range(7))
        at = place(amplitude, first_amplitude + index * channels)
        amplitudes = [amplitude[at + channel] for channel in range(channels)]
        # Beyond its reach a Gaussian is zero: u or v is made huge for the whole column or row.
        dxs, dys = [x - mean_x for x in columns], [y - mean_y for y in rows]
        across_u = [jnp.where(jnp.abs(dx) > reach_x, OUTSIDE, a * dx) for dx in dxs]
        down_v = [jnp.where(jnp.abs(dy) > reach_y, OUTSIDE, c * dy) for dy in dys]
        sums = iter(sums)
        out = []
        for dy, v in zip(dys, down_v, strict=True):
            down_u, v2 = b * dy, v * v
            for part in across_u:
                u = part + down_u
                value = exp2_minus(fma(u, u, v2, geometry.interpret), geometry.interpret)
                out += [fma(value, x, next(sums), geometry.interpret) for x in amplitudes]
        return tuple(out)

    def add_chunk(chunk, sums):
        at = place(gaussians, first + chunk * CHUNK + _iota(CHUNK))
        bits = ballot_false(area.missed(*(gaussians[at + k * count] for k in (0, 1, 5, 6))))
        return for_each_bit(bits, lambda bit, sums: add(chunk * CHUNK + bit, sums), sums)

    def add_chunks(group, sums):
        lanes = pl.ds(group * CHUNK, CHUNK)
        bits = ballot_false(area.outside(*(boxes[0][k, lanes] for k in range(4))))
        return for_each_bit(bits, lambda bit, sums: add_chunk(group * CHUNK + bit, sums), sums)

    zero = jnp.zeros((tile.rows, tile.columns), jnp.float32)
    sums = (zero,) * (tile.down * tile.across * channels)
    if boxes:
        sums = jax.lax.fori_loop(0, boxes[0].shape[-1] // CHUNK, add_chunks, sums)
    else:
        sums = jax.lax.fori_loop(0, count // CHUNK, add_chunk, sums)

    sums = iter(sums)
    for y in ys:
        for x in xs:
            inside = (y < geometry.height) & (x < geometry.width)
            for channel in range(channels):
                value = next(sums).astype(geometry.dtype)
                plt.store(frame.at[y, x, channel], value, mask=inside)


def _iota(size):
    return jax.lax.iota(jnp.int32, size)


def _require():
    if not gpu.interpreting():
        gpu.require((8, 0))


splat = splat_with(forward, pallas_triton_vjp.backward, _require)
