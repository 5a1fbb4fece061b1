"""The backward kernel in Pallas for Triton.

A warp takes some Gaussians, one after the other, and runs over the pixels of the frame that each
can reach. A program is one warp; or several whose Gaussians are neighbours, so that they read the
same pixels at about the same time, and all but the first of them from L1. Where there are many
channels, a program takes a block of them: moments are linear in the channels, so those of several
programs are added outside. Matrix products would be slower here: Gaussians would have to share
pixels, and the box that a block of Gaussians reaches is several times the window of one.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton as plt

from pallas_kernels.splat2d.factor import MOMENTS
from pallas_kernels.splat2d.gather import OUTSIDE, Geometry, along_curve, read_together
from pallas_kernels.splat2d.loops import within
from pallas_kernels.splat2d.tuned import tuned
from pallas_kernels.triton_math import as_row, exp2_minus, fma, place, start


class Sweep(NamedTuple):
    """How a program runs over windows: patches of `rows` x `columns`, one pixel a thread.

    It takes `together` of its Gaussians at a time, each with a warp of its own. A warp goes down
    `across` neighbouring columns of patches at a time, `down` rows of them unrolled. With
    across=None as many as hold the window, at most 8.
    """

    rows: int = 4
    columns: int = 8
    down: int = 1
    across: int | None = None
    gaussians: int = 4
    channels: int = 16
    together: int = 1


def backward(geometry, gaussians, amplitude, cotangent, sweep: Sweep | None = None):
    """(F, 7, P), (F, P, C), (F, H, W, C) -> (F, MOMENTS, P), (F, P, C): see `gather.splat_with`."""
    frames, _, count = gaussians.shape
    channels = amplitude.shape[-1]
    sweep = sweep or sweep_for(geometry, channels)
    widest = min((geometry.window or geometry.width) + 1, geometry.width)
    if sweep.across is None:
        sweep = sweep._replace(across=min(pl.cdiv(widest, sweep.columns), 8))
    blocks = pl.cdiv(channels, sweep.channels)
    sweep = sweep._replace(channels=pl.cdiv(channels, blocks))
    programs = count // sweep.gaussians * blocks

    def of_frame(*shape):
        return pl.BlockSpec((None, *shape), lambda i: (i // programs, *(0,) * len(shape)))

    rows = [as_row(x, programs) for x in (gaussians, amplitude, cotangent)]
    if sweep.together > 1:
        rows.append(as_row(along_curve(geometry, gaussians), programs))
    arrays, specs = zip(*rows, strict=True)
    shapes = ((blocks, MOMENTS, count), (count, channels))
    moments, d_amplitude = pl.pallas_call(
        partial(_kernel, geometry, sweep, widest, blocks, programs),
        grid=(frames * programs,),
        in_specs=specs,
        out_specs=[of_frame(*shape) for shape in shapes],
        out_shape=[jax.ShapeDtypeStruct((frames, *shape), jnp.float32) for shape in shapes],
        compiler_params=plt.CompilerParams(num_warps=sweep.together, num_stages=1),
        interpret=geometry.interpret,
        name="splat2d_vjp",
    )(*arrays)
    return moments.sum(1), d_amplitude


def sweep_for(geometry: Geometry, channels: int) -> Sweep:
    """What was measured to be fast on this device, or else what is predicted to be."""
    options = tuned("pallas_triton_vjp", geometry, channels)
    if not options and read_together(geometry, min(channels, Sweep().channels)):
        options = {"gaussians": 32, "together": 8}
    return Sweep(**options)


def _kernel(
    geometry: Geometry,
    sweep,
    widest,
    blocks,
    programs,
    gaussians,
    amplitude,
    cotangent,
    *refs,
):
    *order, moments, d_amplitude = refs
    program = pl.program_id(0) % programs
    block, first = program % blocks, program // blocks * sweep.gaussians
    count, size = d_amplitude.shape
    # The last block may be larger than what is left of the channels.
    channels = [block * sweep.channels + k for k in range(sweep.channels)]
    used = [c < size if size % blocks else None for c in channels]
    pixels = geometry.height * geometry.width
    starts = [
        start(row, length, programs)
        for row, length in (
            (gaussians, 7 * count),
            (amplitude, count * size),
            (cotangent, pixels * size),
            *((row, count) for row in order),
        )
    ]
    plain = geometry.interpret
    lane = jax.lax.iota(jnp.int32, sweep.rows * sweep.columns)[None, :]
    row, column = lane // sweep.columns, lane % sweep.columns
    step_x, step_y = sweep.columns * sweep.across, sweep.rows * sweep.down
    # Where all strips fit into the frame they are moved to end in it, and the pixels that a thread
    # reads lie at fixed distances.
    most = pl.cdiv(widest, step_x)
    fits = most * step_x <= geometry.width

    def load(ref, index, mask=None):
        if mask is not None:
            mask &= index >= 0  # always true: it gives the mask the shape of what is loaded
        return plt.load(ref.at[index], mask=mask, other=None if mask is None else 0.0)

    def pull(i):
        index = first + i * sweep.together
        if order:
            # `place` also hides from Triton that these are neighbours in memory: it would load them
            # by a layout of threads that has to be changed afterwards.
            index += jax.lax.iota(jnp.int32, sweep.together)[:, None] + 0 * lane
            index = order[0][place(order[0], starts[3] + index)]
        at = place(gaussians, starts[0] + index)
        mean_x, mean_y, a, b, c, reach_x, reach_y = (gaussians[at + k * count] for k in range(7))
        at = place(amplitude, starts[1] + index * size + channels[0])
        amplitudes = [load(amplitude, at + k, mask) for k, mask in enumerate(used)]
        first_x, last_x = within(mean_x, reach_x, geometry.width)
        first_y, last_y = within(mean_y, reach_y, geometry.height)
        strips = 1 if most == 1 else steps(first_x, last_x, step_x).max()
        down = jnp.where(last_x < first_x, 0, steps(first_y, last_y, step_y)).max()
        left = jnp.minimum(first_x, geometry.width - strips * step_x) if fits else first_x

        def columns(i, sums):
            xs = [left + i * step_x + k * sweep.columns + column for k in range(sweep.across)]
            dxs = [x.astype(jnp.float32) - mean_x for x in xs]
            parts = [
                jnp.where((x < first_x) | (x > last_x), OUTSIDE, a * dx)
                for x, dx in zip(xs, dxs, strict=True)
            ]

            def rows(j, sums):
                for k in range(sweep.down):
                    y = first_y + j * step_y + k * sweep.rows + row
                    sums = patches(y, xs, dxs, parts, sums)
                return sums

            return jax.lax.fori_loop(0, down, rows, sums)

        def read(y, xs):
            """Pixels of the cotangent, by patch and channel."""
            line = jnp.minimum(y, geometry.height - 1) * geometry.width
            if not fits:
                xs = [jnp.minimum(x, geometry.width - 1) for x in xs]
            places = [place(cotangent, starts[2] + (line + x) * size + channels[0]) for x in xs]
            if fits:
                places = [places[0] + k * sweep.columns * size for k in range(len(xs))]
            return [
                [load(cotangent, x + k, mask).astype(jnp.float32) for k, mask in enumerate(used)]
                for x in places
            ]

        def patches(y, xs, dxs, parts, sums):
            dy = y.astype(jnp.float32) - mean_y
            v = jnp.where(y > last_y, OUTSIDE, c * dy)
            down_u, v2 = b * dy, v * v
            (hu, hux, huy, hy, hxy, hyy), d_amplitudes = sums[:MOMENTS], list(sums[MOMENTS:])
            row_h = row_hu = row_hx = zero
            for pulled, dx, part in zip(read(y, xs), dxs, parts, strict=True):
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

        zero = jnp.zeros((sweep.together, sweep.rows * sweep.columns), jnp.float32)
        sums = jax.lax.fori_loop(0, strips, columns, (zero,) * (MOMENTS + len(channels)))
        for k in range(MOMENTS):
            store(moments, (block, jnp.int32(k), index), sums[k])
        for c, mask, x in zip(channels, used, sums[MOMENTS:], strict=True):
            store(d_amplitude, (index, c), x, mask)

    def store(ref, index, sums, mask=None):
        """Adds up what the threads of a warp hold: they all have the sum and write the same."""
        if not order:
            return plt.store(ref.at[index], sums.sum(), mask=mask)
        total = jnp.broadcast_to(sums.sum(1)[:, None], sums.shape)
        plt.store(
            ref.at[index], total, mask=mask if mask is None else jnp.broadcast_to(mask, total.shape)
        )

    jax.lax.fori_loop(0, sweep.gaussians // sweep.together, lambda i, _: pull(i), None)


def steps(first, last, size):
    """Steps of `size` pixels from the first to the last; none if the last comes before it."""
    return jax.lax.div(last - first + size, jnp.int32(size))
