"""The backward kernel in Pallas for Mosaic GPU.

A program takes some Gaussians, one after the other, and runs over the pixels of the frame that each
can reach, patch by patch. At the end the threads write their sums to shared memory. There eight
lanes of a warp add up each sum, all at the same time; reductions over all threads would follow one
another.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import pallas as pl
from jax.experimental.pallas import mosaic_gpu as plgpu

from pallas_kernels.splat2d import mosaic_gpu
from pallas_kernels.splat2d.factor import MOMENTS
from pallas_kernels.splat2d.gather import FEW, OUTSIDE
from pallas_kernels.splat2d.loops import within
from pallas_kernels.splat2d.mosaic_gpu import COLUMNS, ROWS, load_patch, pixels, zeros

GAUSSIANS = 8
"""Of a program: it divides gather.CHUNK."""

WIDEST = 4
"""Patches side by side that are swept down together."""

SUMS = 16
"""Rows of shared memory, four for a warp: MOMENTS, up to FEW = 8 channels, and idle ones."""


def backward(geometry, gaussians, amplitude, cotangent):
    """(F, 7, P), (F, P, C), (F, H, W, C) -> (F, MOMENTS, P), (F, P, C): see `gather.splat_with`."""
    frames, count, channels = amplitude.shape
    passes = pl.cdiv(channels, FEW)
    amplitude = jnp.pad(amplitude, ((0, 0), (0, 0), (0, -channels % passes)))
    widest = min((geometry.window or geometry.width) + 1, geometry.width)
    across = min(pl.cdiv(widest, COLUMNS), WIDEST)
    # Mosaic loads whole patches, and whole rows of them hold what is left of a window.
    margins = (-geometry.height % ROWS, -geometry.width % (across * COLUMNS))
    if any(margins):
        cotangent = jnp.pad(cotangent, ((0, 0), *((0, margin) for margin in margins), (0, 0)))
    sums = mosaic_gpu.call(
        partial(_kernel, geometry, across, passes),
        geometry,
        "splat2d_vjp",
        frames * (count // GAUSSIANS) * passes,
        jax.ShapeDtypeStruct((frames, count, passes, SUMS), jnp.float32),
        [plgpu.SMEM((SUMS, ROWS * COLUMNS), jnp.float32)],
    )(gaussians, amplitude, cotangent)
    size = amplitude.shape[-1] // passes
    d_amplitude = sums[..., MOMENTS : MOMENTS + size].reshape(frames, count, -1)
    return sums[..., :MOMENTS].sum(2).mT, d_amplitude[..., :channels]


def _kernel(geometry, across, passes, gaussians, amplitude, cotangent, out, shared):
    (height, width, channels), count = cotangent.shape[1:], gaussians.shape[-1]
    size = amplitude.shape[-1] // passes
    place, this = mosaic_gpu.program() // passes, mosaic_gpu.program() % passes
    frame, place = place // (count // GAUSSIANS), place % (count // GAUSSIANS)
    row, column = pixels()

    def pull(i, _):
        index = place * GAUSSIANS + i

        @pl.when(~(gaussians[frame, 5, index] < 0))  # of padding nothing is written
        def used():
            gather(index)

    def gather(index):
        mean_x, mean_y, a, b, c, reach_x, reach_y = (gaussians[frame, k, index] for k in range(7))
        amplitudes = [amplitude[frame, index, this * size + k] for k in range(size)]
        first_x, last_x = within(mean_x, reach_x, geometry.width)
        first_y, last_y = within(mean_y, reach_y, geometry.height)

        strips = (last_x - first_x) // (across * COLUMNS) + 1
        steps = (last_y - first_y) // ROWS + 1
        # The sweep has to end in the frame, so it may start before the first pixel that is reached:
        # the Gaussian is zero there.
        first_x = jnp.minimum(first_x, width - strips * across * COLUMNS)
        first_y = jnp.minimum(first_y, height - steps * ROWS)

        def strip(i, sums):
            lefts = [first_x + (i * across + k) * COLUMNS for k in range(across)]
            dxs = [(left + column).astype(jnp.float32) - mean_x for left in lefts]
            parts = [jnp.where(jnp.abs(dx) > reach_x, OUTSIDE, a * dx) for dx in dxs]
            return jax.lax.fori_loop(np.int32(0), steps, partial(patches, lefts, dxs, parts), sums)

        def patches(lefts, dxs, parts, j, sums):
            top = first_y + j * ROWS
            dy = (top + row).astype(jnp.float32) - mean_y
            v = jnp.where(jnp.abs(dy) > reach_y, OUTSIDE, c * dy)
            down_u, v2 = b * dy, v * v
            (hu, hux, huy, hy, hxy, hyy), d_amplitudes = sums[:MOMENTS], sums[MOMENTS:]
            row_h, row_hu, row_hx = [], [], []
            for left, dx, part in zip(lefts, dxs, parts, strict=True):
                pulled = [
                    load_patch(
                        cotangent.at[frame, :, :, jnp.minimum(this * size + k, channels - 1)],
                        top,
                        left,
                    )
                    for k in range(size)
                ]
                u = part + down_u
                value = jnp.exp2(-(u * u + v2))
                d_amplitudes = [d + value * p for d, p in zip(d_amplitudes, pulled, strict=True)]
                h = value * sum(x * p for x, p in zip(amplitudes, pulled, strict=True))
                row_h.append(h)
                row_hu.append(h * u)
                row_hx.append(h * dx)
                hux = hux + h * u * dx
            row_h, row_hu, row_hx = sum(row_h), sum(row_hu), sum(row_hx)
            moved = row_h * dy
            return [
                hu + row_hu,
                hux,
                huy + row_hu * dy,
                hy + moved,
                hxy + row_hx * dy,
                hyy + moved * dy,
                *d_amplitudes,
            ]

        sums = jax.lax.fori_loop(np.int32(0), strips, strip, [zeros()] * (MOMENTS + size))
        plgpu.commit_smem()  # the last Gaussian's sums have been read
        for k, x in enumerate(sums):
            shared[k] = x.reshape(-1)
        plgpu.commit_smem()
        mosaic_gpu.store(out.at[frame, index, this], mosaic_gpu.sum_patches(shared))

    jax.lax.fori_loop(np.int32(0), np.int32(GAUSSIANS), pull, None)
