"""The forward kernel in Pallas for Triton, for many channels: a sum of matrix products.

A frame is (pixels x Gaussians) weights times (Gaussians x channels) amplitudes. A program owns a
square of pixels and a block of channels. It takes CHUNK Gaussians at a time; if any of them reaches
the square, it evaluates their weights and multiplies on the tensor cores.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton as plt

from pallas_kernels.splat2d.gather import CHUNK, Geometry
from pallas_kernels.splat2d.loops import Area, for_each_bit
from pallas_kernels.splat2d.tuned import tuned
from pallas_kernels.triton_math import ballot_false, dot, exp2_minus, fma


class Product(NamedTuple):
    """What a program owns: a square of side x side pixels, and at most so many channels."""

    side: int = 8
    channels: int = 64
    warps: int = 4


def forward(geometry, gaussians, amplitude, boxes, product: Product | None = None):
    """(F, 7, P), (F, P, C) -> (F, H, W, C): see `gather.splat_with`."""
    frames, channels = len(gaussians), amplitude.shape[-1]
    product = product or Product(**tuned("pallas_triton_matrix", geometry, channels))
    # A power of two, as Triton wants, and at least the 16 of a product.
    block = min(max(pl.next_power_of_2(channels), 16), product.channels)
    down = pl.cdiv(geometry.height, product.side)
    across = pl.cdiv(geometry.width, product.side)
    blocks = pl.cdiv(channels, block)

    def of_frame(*shape):
        programs = down * across * blocks
        return pl.BlockSpec((None, *shape), lambda i: (i // programs, *(0,) * len(shape)))

    arrays = [gaussians, amplitude] + ([] if boxes is None else [boxes])
    shape = (geometry.height, geometry.width, channels)
    return pl.pallas_call(
        partial(_kernel, geometry, product.side, block, blocks, across, down),
        grid=(frames * down * across * blocks,),
        in_specs=[of_frame(*x.shape[1:]) for x in arrays],
        out_specs=of_frame(*shape),
        out_shape=jax.ShapeDtypeStruct((frames, *shape), geometry.dtype),
        compiler_params=plt.CompilerParams(num_warps=product.warps, num_stages=1),
        interpret=geometry.interpret,
        name="splat2d_matrix",
    )(*arrays)


def _kernel(geometry: Geometry, side, block, blocks, across, down, gaussians, amplitude, *refs):
    *boxes, frame = refs
    channels = frame.shape[-1]
    program = pl.program_id(0) % (down * across * blocks)
    place, first_channel = program // blocks, program % blocks * block
    top, left = place // across * side, place % across * side
    pixel = jax.lax.iota(jnp.int32, side * side)[:, None]
    y, x = top + pixel // side, left + pixel % side
    channel = first_channel + jax.lax.iota(jnp.int32, block)[None, :]

    first_x, first_y = left.astype(jnp.float32), top.astype(jnp.float32)
    area = Area(first_x, first_x + (side - 1), first_y, first_y + (side - 1))

    def add(chunk, sums):
        lanes = pl.ds(chunk * CHUNK, CHUNK)
        value = _weights(gaussians, lanes, x, y, geometry.interpret)
        rows = chunk * CHUNK + jax.lax.iota(jnp.int32, CHUNK)[:, None]
        a = plt.load(amplitude.at[rows, channel], mask=channel < channels, other=0.0)
        return sums + dot(value, a, geometry.dtype, geometry.interpret)

    def add_chunk(chunk, sums):
        lanes = pl.ds(chunk * CHUNK, CHUNK)
        bits = ballot_false(area.missed(*(gaussians[k, lanes] for k in (0, 1, 5, 6))))
        return jax.lax.cond(bits != 0, partial(add, chunk), lambda sums: sums, sums)

    def add_chunks(group, sums):
        lanes = pl.ds(group * CHUNK, CHUNK)
        bits = ballot_false(area.outside(*(boxes[0][k, lanes] for k in range(4))))
        return for_each_bit(bits, lambda bit, sums: add_chunk(group * CHUNK + bit, sums), sums)

    sums = jnp.zeros((side * side, block), jnp.float32)
    if boxes:
        sums = jax.lax.fori_loop(0, boxes[0].shape[-1] // CHUNK, add_chunks, sums)
    else:
        sums = jax.lax.fori_loop(0, gaussians.shape[-1] // CHUNK, add_chunk, sums)
    inside = (y < geometry.height) & (x < geometry.width) & (channel < channels)
    plt.store(frame.at[y, x, channel], sums.astype(geometry.dtype), mask=inside)


def _weights(gaussians, lanes, x, y, plain):
    """Values of the Gaussians in some lanes at pixels x, y (pixels, 1): (pixels, lanes)."""
    mean_x, mean_y, a, b, c, reach_x, reach_y = (gaussians[k, lanes][None, :] for k in range(7))
    dx, dy = x.astype(jnp.float32) - mean_x, y.astype(jnp.float32) - mean_y
    u, v = fma(a, dx, b * dy, plain), c * dy
    value = exp2_minus(fma(u, u, v * v, plain), plain)
    return jnp.where((jnp.abs(dx) > reach_x) | (jnp.abs(dy) > reach_y), 0.0, value)
