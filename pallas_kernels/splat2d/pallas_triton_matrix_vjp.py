"""The backward kernel in Pallas for Triton, for many channels: two matrix products a step.

A program owns some Gaussians and a block of channels, and runs over the box of pixels that they
reach together. Cotangent times amplitudes gives what the moments are taken of, weights times
cotangent the gradient of the amplitudes. Moments are linear in the channels, so those of several
blocks are added outside.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton as plt

from pallas_kernels.splat2d.gather import Geometry
from pallas_kernels.splat2d.pallas_triton_matrix import Product, channel_block, weights
from pallas_kernels.splat2d.triton_math import dot

BACKWARD = Product(gaussians=16)


def backward(geometry, gaussians, amplitude, cotangent, product: Product = BACKWARD):
    """(F, 7, P), (F, P, C), (F, H, W, C) -> (F, 5, P), (F, P, C): see `gather.splat_with`."""
    frames, _, count = gaussians.shape
    channels = amplitude.shape[-1]
    block = channel_block(product, channels)
    blocks = pl.cdiv(channels, block)
    programs = count // product.gaussians * blocks

    def of_frame(*shape):
        return pl.BlockSpec((None, *shape), lambda i: (i // programs, *(0,) * len(shape)))

    arrays = (gaussians, amplitude, cotangent)
    shapes = ((blocks, 5, count), (count, channels))
    moments, d_amplitude = pl.pallas_call(
        partial(_kernel, geometry, product, block, blocks, programs),
        grid=(frames * programs,),
        in_specs=[of_frame(*x.shape[1:]) for x in arrays],
        out_specs=[of_frame(*shape) for shape in shapes],
        out_shape=[jax.ShapeDtypeStruct((frames, *shape), jnp.float32) for shape in shapes],
        compiler_params=plt.CompilerParams(num_warps=product.warps, num_stages=1),
        interpret=geometry.interpret,
        name="splat2d_matrix_vjp",
    )(*arrays)
    return moments.sum(1), d_amplitude


def _kernel(
    geometry: Geometry,
    product,
    block,
    blocks,
    programs,
    gaussians,
    amplitude,
    cotangent,
    moments,
    d_amplitude,
):
    channels, side = amplitude.shape[-1], product.side
    program = pl.program_id(0) % programs
    first, block_index = program // blocks * product.gaussians, program % blocks
    lanes = pl.ds(first, product.gaussians)
    index = first + jax.lax.iota(jnp.int32, product.gaussians)[:, None]
    channel = block_index * block + jax.lax.iota(jnp.int32, block)[None, :]
    a = plt.load(amplitude.at[index, channel], mask=channel < channels, other=0.0)
    first_x, last_x = _within(gaussians[0, lanes], gaussians[5, lanes], geometry.width)
    first_y, last_y = _within(gaussians[1, lanes], gaussians[6, lanes], geometry.height)
    pixel = jax.lax.iota(jnp.int32, side * side)[:, None]

    def rows(i, sums):
        def columns(j, sums):
            y = first_y + i * side + pixel // side
            x = first_x + j * side + pixel % side
            inside = (y < geometry.height) & (x < geometry.width) & (channel < channels)
            pulled = plt.load(cotangent.at[y, x, channel], mask=inside, other=0.0)
            value, u, dx, dy = weights(gaussians, lanes, x, y, geometry.interpret)
            h = dot(pulled, a.T, geometry) * value
            hu, hy = h * u, h * dy
            *sums, d_a = sums
            terms = (hu, hu * dx, hu * dy, hy, hy * dy)
            d_a += dot(value.T, pulled, geometry)
            return *(s + x for s, x in zip(sums, terms, strict=True)), d_a

        return jax.lax.fori_loop(0, pl.cdiv(last_x - first_x + 1, side), columns, sums)

    zero = jnp.zeros((side * side, product.gaussians), jnp.float32)
    sums = (*(zero,) * 5, jnp.zeros((product.gaussians, block), jnp.float32))
    *sums, d_a = jax.lax.fori_loop(0, pl.cdiv(last_y - first_y + 1, side), rows, sums)
    for k, s in enumerate(sums):
        moments[block_index, k, lanes] = s.sum(0)
    plt.store(d_amplitude.at[index, channel], d_a, mask=channel < channels)


def _within(mean, reach, size):
    """First and last pixel of an axis of `size` that any of some Gaussians reaches."""
    used = ~(reach < 0)
    least = jnp.where(used, mean - reach, jnp.inf).min()
    most = jnp.where(used, mean + reach, -jnp.inf).max()
    first = jnp.ceil(jnp.where(least > 0, jnp.minimum(least, size), 0.0))
    last = jnp.floor(jnp.where(most < size - 1, jnp.maximum(most, -1), size - 1.0))
    return first.astype(jnp.int32), last.astype(jnp.int32)
