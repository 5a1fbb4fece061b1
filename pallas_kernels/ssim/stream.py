"""How the GPU kernels slide a window over frames: down a strip of columns, row by row.

A frame is H rows of W C values, and a program owns a strip of them, one value in each lane: so
channels cost nothing and all loads are contiguous. For each row it adds up the taps of the
horizontal window, which lie C values apart and come from the first-level cache after the first
load. A row lies in as many windows as a window has rows: it is added to the sums of all of them,
and completes one. Nothing is exchanged between lanes and no row of a map is stored.

This costs one multiply-add a value, map, tap and axis. As two banded matrix products in 3xtf32 the
forward kernel's sums would cost about 1600 tensor-core multiply-adds a pixel (a 32 x 32 patch
yields 22 x 22 windows); by a model that is twice the time of the 200 instructions here.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton as plt

from pallas_kernels.ssim.fused import ENOUGH, LATTICE, SHORTEST, Geometry
from pallas_kernels.ssim.measure import Weights
from pallas_kernels.triton_math import fma


class Strips(NamedTuple):
    """How the programs of a kernel share each frame's results, (rows, values in a row)."""

    shape: tuple[int, int]
    lanes: int
    """Values of a row that a program owns, one in each thread."""
    rows: int
    """Rows that a program owns."""

    @property
    def across(self) -> int:
        """Programs across a frame."""
        return pl.cdiv(self.shape[1], self.lanes)

    @property
    def programs(self) -> int:
        """Programs of a frame."""
        return pl.cdiv(self.shape[0], self.rows) * self.across

    def place(self):
        """What this program owns.

        Returns:
            Its number in its frame; its first row; how many rows; the place in a row that each lane
            owns, which may lie beyond the row; and the same clipped to the row, for loads.
        """
        piece = pl.program_id(0) % self.programs
        first = piece // self.across * self.rows
        own = piece % self.across * self.lanes + jax.lax.iota(jnp.int32, self.lanes)
        count = jnp.minimum(self.rows, self.shape[0] - first)
        return piece, first, count, own, jnp.minimum(own, self.shape[1] - 1)


def strips_of(shape: tuple[int, int], frames: int, channels: int) -> Strips:
    """Strips wide enough that taps share most of what they load, pieces enough for a GPU."""
    lanes = min(pl.next_power_of_2(40 * channels), pl.next_power_of_2(shape[1]), 512)
    lanes = max(lanes, 32)
    warps = frames * pl.cdiv(shape[1], lanes) * (lanes // 32)
    pieces = min(pl.cdiv(ENOUGH, warps), pl.cdiv(shape[0], SHORTEST))
    return Strips(shape, lanes, pl.cdiv(shape[0], pieces))


def call(geometry: Geometry, strips: Strips, kernel: Callable, arrays, out_shapes, name: str):
    """Runs a kernel for every strip, on references to its frame and to tables that all share."""
    frames = arrays[0].shape[0]

    def spec(x):
        shared = x.ndim == 1  # a table
        block = x.shape if shared else (None, *x.shape[1:])
        zeros = (0,) * (len(x.shape) - 1)
        return pl.BlockSpec(block, lambda i: (0,) if shared else (i // strips.programs, *zeros))

    return pl.pallas_call(
        kernel,
        grid=(frames * strips.programs,),
        in_specs=[spec(x) for x in arrays],
        out_specs=jax.tree.map(spec, out_shapes),
        out_shape=out_shapes,
        compiler_params=plt.CompilerParams(num_warps=strips.lanes // 32, num_stages=1),
        interpret=geometry.interpret,
        name=name,
    )(*arrays)


def slide(
    load: Callable, emit: Callable, rows: Weights, columns: Weights, count, state, zeros, plain
):
    """Filters maps with a window along both axes and hands out the results row by row.

    Args:
        load: (step, tap) -> one value a lane of each map, at row `step` and `tap` of the window
            across. Result r has steps r to r + len(rows) - 1.
        emit: (r, filtered maps, state) -> state.
        rows: weights of the window down.
        columns: weights of the window across.
        count: how many rows of results there are.
        state: passed through `emit`.
        zeros: one for each map, of a lane's shape.
        plain: as in `fma`.
    """

    def across(step):
        first, *others = columns
        sums = [first * value for value in load(step, 0)]
        for tap, weight in enumerate(others, start=1):
            values = load(step, tap)
            sums = [fma(weight, v, s, plain) for v, s in zip(values, sums, strict=True)]
        return sums

    def push(step, sums):
        """`sums` of the windows that are begun, oldest first -> those with this row in it."""
        return [
            [fma(weight, value, s, plain) for weight, s in zip(rows[:0:-1], begun, strict=True)]
            + [rows[0] * value]
            for value, begun in zip(across(step), sums, strict=True)
        ]

    def warm_up(step, sums):
        return [begun[1:] for begun in push(step, sums)]

    def advance(r, carry):
        sums, state = carry
        pushed = push(r + (len(rows) - 1), sums)
        return [begun[1:] for begun in pushed], emit(r, [begun[0] for begun in pushed], state)

    sums = [[zero] * (len(rows) - 1) for zero in zeros]
    sums = jax.lax.fori_loop(jnp.int32(0), jnp.int32(len(rows) - 1), warm_up, sums)
    return jax.lax.fori_loop(jnp.int32(0), count, advance, (sums, state))[1]


def origin(geometry: Geometry, y, lane):
    """For each lane, the mean of y over some pixels of its frame and channel."""
    channel, total = lane % geometry.channels, jnp.zeros(lane.shape, jnp.float32)
    for i in range(LATTICE):
        for j in range(LATTICE):
            row = (2 * i + 1) * geometry.height // (2 * LATTICE)
            column = (2 * j + 1) * geometry.width // (2 * LATTICE)
            total += y[row, channel + column * geometry.channels].astype(jnp.float32)
    return total * (1 / LATTICE**2)
