"""The backward kernel in Pallas for Triton.

A program of one warp takes some Gaussians, one after the other, and runs over the pixels of the
frame that each can reach. Where there are many channels, a program takes a block of them: moments
are linear in the channels, so those of several programs are added outside. Matrix products would be
slower here: Gaussians would have to share pixels, and the box that a block of Gaussians reaches is
several times the window of one.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton as plt

from pallas_kernels.splat2d.factor import MOMENTS
from pallas_kernels.splat2d.gather import OUTSIDE, Geometry
from pallas_kernels.splat2d.loops import within
from pallas_kernels.splat2d.tuned import tuned
from pallas_kernels.triton_math import exp2_minus, fma


class Sweep(NamedTuple):
    """How a program runs over a window: patches of `rows` x `columns`, one pixel a thread.

    It goes down `across` neighbouring columns of patches at a time, `down` rows of them unrolled.
    With across=None as many as hold the window, at most 8.
    """

    rows: int = 4
    columns: int = 8
    down: int = 1
    across: int | None = None
    gaussians: int = 4
    channels: int = 16


def backward(geometry, gaussians, amplitude, cotangent, sweep: Sweep | None = None):
    """(F, 7, P), (F, P, C), (F, H, W, C) -> (F, MOMENTS, P), (F, P, C): see `gather.splat_with`."""
    frames, _, count = gaussians.shape
    channels = amplitude.shape[-1]
    sweep = sweep or Sweep(**tuned("pallas_triton_vjp", geometry, channels))
    if sweep.across is None:
        widest = min((geometry.window or geometry.width) + 1, geometry.width)
        sweep = sweep._replace(across=min(pl.cdiv(widest, sweep.columns), 8))
    blocks = pl.cdiv(channels, sweep.channels)
    sweep = sweep._replace(channels=pl.cdiv(channels, blocks))
    programs = count // sweep.gaussians * blocks

    def of_frame(*shape):
        return pl.BlockSpec((None, *shape), lambda i: (i // programs, *(0,) * len(shape)))

    arrays = (gaussians, amplitude, cotangent)
    shapes = ((blocks, MOMENTS, count), (count, channels))
    moments, d_amplitude = pl.pallas_call(
        partial(_kernel, geometry, sweep, blocks, programs),
        grid=(frames * programs,),
        in_specs=[of_frame(*x.shape[1:]) for x in arrays],
        out_specs=[of_frame(*shape) for shape in shapes],
        out_shape=[jax.ShapeDtypeStruct((frames, *shape), jnp.float32) for shape in shapes],
        compiler_params=plt.CompilerParams(num_warps=1, num_stages=1),
        interpret=geometry.interpret,
        name="splat2d_vjp",
    )(*arrays)
    return moments.sum(1), d_amplitude


def _kernel(
    geometry: Geometry,
    sweep,
    blocks,
    programs,
    gaussians,
    amplitude,
    cotangent,
    moments,
    d_amplitude,
):
    program = pl.program_id(0) % programs
    block, first = program % blocks, program // blocks * sweep.gaussians
    channels = [block * sweep.channels + k for k in range(sweep.channels)]
    # The last block may be larger than what is left of the channels.
    used = [c < amplitude.shape[-1] if amplitude.shape[-1] % blocks else None for c in channels]
    plain = geometry.interpret
    row = jax.lax.iota(jnp.int32, sweep.rows)[:, None]
    column = jax.lax.iota(jnp.int32, sweep.columns)[None, :]
    step_x, step_y = sweep.columns * sweep.across, sweep.rows * sweep.down

    def load(ref, index, mask):
        if mask is None:
            return plt.load(ref.at[index])
        mask &= index[0] >= 0  # always true: it gives the mask the shape of what is loaded
        return plt.load(ref.at[index], mask=mask, other=0.0)

    def pull(index):
        mean_x, mean_y, a, b, c, reach_x, reach_y = (gaussians[k, index] for k in range(7))
        amplitudes = [load(amplitude, (index, c), m) for c, m in zip(channels, used, strict=True)]
        first_x, last_x = within(mean_x, reach_x, geometry.width)
        first_y, last_y = within(mean_y, reach_y, geometry.height)

        def columns(i, sums):
            xs = [first_x + i * step_x + k * sweep.columns + column for k in range(sweep.across)]
            dxs = [x.astype(jnp.float32) - mean_x for x in xs]
            parts = [jnp.where(x > last_x, OUTSIDE, a * dx) for x, dx in zip(xs, dxs, strict=True)]
            xs = [jnp.minimum(x, geometry.width - 1) for x in xs]

            def rows(j, sums):
                for k in range(sweep.down):
                    y = first_y + j * step_y + k * sweep.rows + row
                    sums = patches(y, xs, dxs, parts, sums)
                return sums

            return jax.lax.fori_loop(0, steps(first_y, last_y, step_y), rows, sums)

        def patches(y, xs, dxs, parts, sums):
            dy = y.astype(jnp.float32) - mean_y
            v = jnp.where(y > last_y, OUTSIDE, c * dy)
            down_u, v2 = b * dy, v * v
            y = jnp.minimum(y, geometry.height - 1)
            (hu, hux, huy, hy, hxy, hyy), d_amplitudes = sums[:MOMENTS], list(sums[MOMENTS:])
            row_h = row_hu = row_hx = jnp.zeros((sweep.rows, sweep.columns), jnp.float32)
            for x, dx, part in zip(xs, dxs, parts, strict=True):
                pulled = [
                    load(cotangent, (y, x, c), m).astype(jnp.float32)
                    for c, m in zip(channels, used, strict=True)
                ]
                u = part + down_u
                value = exp2_minus(fma(u, u, v2, plain), plain)
                d_amplitudes = [
                    fma(value, p, d, plain) for p, d in zip(pulled, d_amplitudes, strict=True)
                ]
                h = amplitudes[0] * pulled[0]
                for x_c, p_c in zip(amplitudes[1:], pulled[1:], strict=True):
                    h = fma(x_c, p_c, h, plain)
                h = h * value
                product = h * u
                row_h, row_hu = row_h + h, row_hu + product
                row_hx = fma(h, dx, row_hx, plain)
                hux = fma(product, dx, hux, plain)
            moved = row_h * dy
            sums = (
                hu + row_hu,
                hux,
                fma(row_hu, dy, huy, plain),
                hy + moved,
                fma(row_hx, dy, hxy, plain),
                fma(moved, dy, hyy, plain),
            )
            return (*sums, *d_amplitudes)

        zero = jnp.zeros((sweep.rows, sweep.columns), jnp.float32)
        sums = (zero,) * (MOMENTS + len(channels))
        sums = jax.lax.fori_loop(0, steps(first_x, last_x, step_x), columns, sums)
        for k in range(MOMENTS):
            moments[block, k, index] = sums[k].sum()
        for c, m, s in zip(channels, used, sums[MOMENTS:], strict=True):
            plt.store(d_amplitude.at[index, c], s.sum(), mask=m)

    jax.lax.fori_loop(0, sweep.gaussians, lambda i, _: pull(first + i), None)


def steps(first, last, size):
    """Steps of `size` pixels from the first to the last; none if the last comes before it."""
    return jax.lax.div(last - first + size, jnp.int32(size))
