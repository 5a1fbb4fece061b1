"""The static model of splat2d's kernels: its counts, against some that were made by hand."""

import numpy as np
import pytest

from pallas_kernels.splat2d.shapes import WORKLOADS, Case
from pallas_kernels.tools import l1, predict, walk
from pallas_kernels.tools.walk import Reached, Sweep, Tile


def one_block(*steps):
    return [[list(step) for step in steps]]


def test_l1_fetches_sectors_of_32_bytes_once():
    assert l1.traffic(one_block([(0, 4)], [(28, 36)], [(96, 128)]), 1, 1024) == (128, 96)


def test_l1_keeps_the_lines_that_were_used_last():
    first, second, third = [(0, 4)], [(128, 132)], [(256, 260)]
    # Two lines fit. The first is used again before the third needs a place: the second leaves.
    blocks = one_block(first, second, first, third, first, second)
    assert l1.traffic(blocks, 1, 256) == (6 * 32, 4 * 32)
    assert l1.traffic(blocks, 1, 384) == (6 * 32, 3 * 32)


def test_l1_is_shared_by_blocks_that_take_turns():
    blocks = [[[(0, 32)], [(128, 160)]]] * 2
    assert l1.traffic(blocks, 2, 128) == (128, 64)  # each line is there for the second block
    assert l1.traffic(blocks, 1, 128) == (128, 128)  # it has left when the second block comes


# On a frame of 8 x 8: one Gaussian on pixels 1..3 x 2..6, one on the last pixel, two on none.
CASE = Case(1, 8, 8, 1, 4, 5)
GAUSSIANS = Reached(
    left=np.array([[1, 7, 8, 0]]),
    right=np.array([[3, 7, 7, 7]]),
    top=np.array([[2, 7, 0, 8]]),
    bottom=np.array([[6, 7, 7, 7]]),
)


def test_pixels_that_gaussians_reach():
    case = Case(1, 10, 20, 1, 1, 3)
    mean = case.arguments()[0][0, 0]
    found = walk.reached(case, sort=False)
    assert found.left.shape == (1, 32)  # padded to a chunk, by Gaussians that reach nothing
    assert (found.left > found.right)[0, 1:].all()
    inside = [x for x in range(20) if abs(x - mean[0]) <= 1.5]
    assert list(range(found.left[0, 0], found.right[0, 0] + 1)) == inside


def test_hits_of_tiles():
    tile = Tile(4, 4, warps=1)
    hits = [GAUSSIANS.meets(top, left, tile)[0] for top in (0, 4) for left in (0, 4)]
    assert [hit.nonzero()[0].tolist() for hit in hits] == [[0], [], [0], [1]]


def test_work_of_tiles():
    nowhere = (8, 7, 8, 7)  # 28 more Gaussians, up to a chunk
    padded = [
        np.pad(x, ((0, 0), (0, 28)), constant_values=y)
        for x, y in zip(GAUSSIANS, nowhere, strict=True)
    ]
    work = walk.drawing(CASE, Tile(4, 4, warps=1), Reached(*padded))
    assert work.trips == (4, 4)  # each of four tiles tests one chunk
    assert work.pixels == 3 * 16  # and three Gaussians hit


def test_work_of_a_sweep():
    alone = walk.pulling(CASE, Sweep(gaussians=2, rows=4, columns=2), GAUSSIANS)
    # Two programs, four Gaussians, 2 + 1 + 0 + 4 strips of 2, 1, 2 and no steps.
    assert alone.trips == (2, 4, 7)
    assert alone.pixels == 5 * 8
    together = walk.pulling(CASE, Sweep(gaussians=4, rows=4, columns=2, together=2), GAUSSIANS)
    assert together.trips[:2] == (2, 4)
    assert together.pixels == 2 * 4 * 8  # both of the first two take what the larger one needs


def test_reads_of_a_sweep():
    sweep = Sweep(gaussians=2, rows=4, columns=2)
    steps = list(walk.reads_pulling(CASE, sweep, GAUSSIANS, block=0))
    assert steps[0] == [(4 * (8 * y + 1), 4 * (8 * y + 3)) for y in (2, 3, 4, 5)]
    assert steps[1] == [(4 * (8 * 6 + 1), 4 * (8 * 6 + 3))]
    assert steps[2] == [(4 * (8 * y + 3), 4 * (8 * y + 4)) for y in (2, 3, 4, 5)]
    assert steps[4:] == [[(4 * 63, 4 * 64)]]


@pytest.mark.parametrize("name", predict.KERNELS)
def test_kernels_are_launched_as_the_model_says(name):
    case = WORKLOADS["A"]
    if name == "jax_triton":
        pytest.importorskip("triton")
    tile, sweep = predict.tile_of(name, case), predict.sweep_of(name, case)
    assert tile.rows * tile.columns % (32 * tile.warps) == 0
    assert 32 % sweep.gaussians == 0 == sweep.gaussians % sweep.together
    assert sweep.columns >= 51  # one strip holds the window
