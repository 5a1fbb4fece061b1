"""What the kernels share: pixels of a tile, sets of Gaussians as 32-bit masks, their terms."""

import triton
import triton.language as tl

OUTSIDE: tl.constexpr = tl.constexpr(1e18)
"""Replaces u or v outside the window. Its square is finite, and exp2 of minus that is 0."""


@triton.jit
def columns(COLUMNS: tl.constexpr, ACROSS: tl.constexpr):
    """Columns of a tile: each thread's first (1, 1, COLUMNS / ACROSS), and steps (ACROSS, 1, 1).

    On the three axes (step, row, thread) Triton gives a thread ACROSS pixels of each of its rows,
    so that terms of a row are computed once for them.
    """
    THREADS: tl.constexpr = COLUMNS // ACROSS
    return tl.arange(0, THREADS)[None, None, :], THREADS * tl.arange(0, ACROSS)[:, None, None]


@triton.jit
def members(hit):
    """The mask of 32 booleans."""
    bit = tl.arange(0, 32).to(tl.uint32)
    return tl.sum(hit.to(tl.uint32) << bit, 0).to(tl.uint32)


@triton.jit
def lowest(mask):
    """The index of the lowest bit of a mask that is not zero, and the mask without it."""
    rest = mask & (mask - 1)
    # A power of two is its own exponent as a float.
    return ((mask ^ rest).to(tl.float32).to(tl.int32, bitcast=True) >> 23) - 127, rest


@triton.jit
def chunks_near(boxes, group, left, right, top, bottom, CHUNKS: tl.constexpr, SKIP: tl.constexpr):
    """The mask of those of the chunks 32 group..32 group + 31 that may reach a tile."""
    if SKIP:
        SIZE: tl.constexpr = (CHUNKS + 31) // 32 * 32
        box = boxes + group * 32 + tl.arange(0, 32)
        far = (tl.load(box) > right) | (tl.load(box + SIZE) < left)
        far |= (tl.load(box + 2 * SIZE) > bottom) | (tl.load(box + 3 * SIZE) < top)
        return members(far == 0)
    return members(group * 32 + tl.arange(0, 32) < CHUNKS)


@triton.jit
def hits(gaussians, left, right, top, bottom, COUNT: tl.constexpr):
    """Which of the 32 Gaussians that start at `gaussians` may reach a tile."""
    row = gaussians + tl.arange(0, 32)
    x, y = tl.load(row), tl.load(row + COUNT)
    reach_x, reach_y = tl.load(row + 5 * COUNT), tl.load(row + 6 * COUNT)
    # "Not far" rather than "near": NaN is drawn.
    far = (left - x > reach_x) | (x - right > reach_x)
    far |= (top - y > reach_y) | (y - bottom > reach_y)
    return far == 0


@triton.jit
def load(gaussian, COUNT: tl.constexpr):
    """Mean x and y and the factor a, b, c of one or several Gaussians."""
    mean_x, mean_y = tl.load(gaussian), tl.load(gaussian + COUNT)
    a, b = tl.load(gaussian + 2 * COUNT), tl.load(gaussian + 3 * COUNT)
    return mean_x, mean_y, a, b, tl.load(gaussian + 4 * COUNT)


@triton.jit
def terms(x, y, a, b, c, WINDOW: tl.constexpr):
    """The terms of exp2(low - u^2) with u = along + across, for offsets x and y from the mean.

    Returns:
        along, of x; across, of y; and low, of y. Outside the window they make exp2 zero.
    """
    along, across, v = a * x, b * y, c * y
    if WINDOW:
        along = tl.where(tl.abs(x) > WINDOW / 2, OUTSIDE, along)
        v = tl.where(tl.abs(y) > WINDOW / 2, OUTSIDE, v)
    return along, across, 0.0 - v * v


@triton.jit
def first_and_last(mean, reach, SIZE: tl.constexpr):
    """The first and the last of the pixels 0..SIZE - 1 that a Gaussian reaches; all if NaN."""
    low, high = mean - reach, mean + reach
    first = tl.where(low > 0, tl.minimum(tl.ceil(low), 1.0 * SIZE), 0.0)
    last = tl.where(high < SIZE - 1, tl.maximum(tl.floor(high), -1.0), SIZE - 1.0)
    # The sums may have rounded past a pixel that the comparison takes in.
    first -= tl.where(tl.abs(first - 1 - mean) <= reach, 1.0, 0.0)
    last += tl.where(tl.abs(last + 1 - mean) <= reach, 1.0, 0.0)
    return tl.maximum(first, 0.0).to(tl.int32), tl.minimum(last, SIZE - 1.0).to(tl.int32)
