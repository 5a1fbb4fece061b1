"""Predicts the speed of splat2d's kernels on an H200: python -m pallas_kernels.tools.predict.

Nothing is run. A kernel is compiled, see `compile_check`; the loops of its machine code times how
often random Gaussians of a case make them run give its instructions, and a simulated L1 cache gives
what it reads from L2. Each unit's share is a bound, and the largest of them is the prediction:

* issue: a warp's instruction a cycle and scheduler, of which 80 % are assumed to be used;
* exp2: 16 exponentials a cycle and multiprocessor;
* l1: loads, stores and shuffles, one a cycle and multiprocessor, however many lines they touch;
* l2: what L1 misses, at 5.5 TB/s;
* dram: every array once, at the rate of a copy.

Waiting for memory, the launch and the operations that XLA puts around a kernel are left out. Stores
of frames are recorded as L2's traffic, and are no bound: they need not be waited for.
"""

import argparse
import json
import operator
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from pallas_kernels.splat2d import (
    gather,
    jax_triton,
    jax_triton_vjp,
    mosaic_gpu,
    pallas_mosaic,
    pallas_mosaic_vjp,
    pallas_triton,
    pallas_triton_vjp,
)
from pallas_kernels.splat2d.roofline import RATES
from pallas_kernels.splat2d.shapes import WORKLOADS, Case
from pallas_kernels.tools import aot, compile_check, l1, record, sass, walk
from pallas_kernels.tools.walk import Sweep, Tile

KIND, CORES, CLOCK = "NVIDIA H200", 132, 1.98e9
USED = 0.8
"""Of the cycles of a scheduler, at best."""
L1, L2 = 224 << 10, 5.5e12
"""Bytes, and bytes a second."""

KERNELS = ("pallas_triton", "jax_triton", "pallas_mosaic")
CASES = ("A", "B", "KTH", "tracked")
MEMORY = ("LDG", "STG", "LDS", "STS", "SHFL")
ROUNDS = 4
"""Of blocks that follow each other on the simulated multiprocessor."""


def tile_of(name: str, case: Case) -> Tile:
    """Of an implementation, as it launches the case by default."""
    if name == "jax_triton":
        launch = jax_triton.plan(_geometry(case), 1, gather.CHUNK, case.channels)
        return Tile(launch.constants["ROWS"], launch.constants["COLUMNS"], launch.warps)
    if name == "pallas_mosaic":
        patches = pallas_mosaic.tile_for(case.window)
        return Tile(patches.rows, patches.columns, warps=4)
    tile = pallas_triton.Tile()
    return Tile(tile.rows * tile.down, tile.columns * tile.across, tile.warps)


def sweep_of(name: str, case: Case) -> Sweep:
    """Of an implementation, as it launches the case by default."""
    if name == "jax_triton":
        launch = jax_triton_vjp.plan(_geometry(case), 1, gather.CHUNK, case.channels)
        size = launch.constants
        columns = size["COLUMNS"] * size["ACROSS"]
        return Sweep(size["OWNED"], size["ROWS"], columns, together=size["TOGETHER"])
    widest = min((case.window or case.width) + 1, case.width)
    if name == "pallas_mosaic":
        across = min(-(-widest // mosaic_gpu.COLUMNS), pallas_mosaic_vjp.WIDEST)
        columns = across * mosaic_gpu.COLUMNS
        return Sweep(pallas_mosaic_vjp.GAUSSIANS, mosaic_gpu.ROWS, columns, warps=4)
    sweep = pallas_triton_vjp.sweep_for(_geometry(case), case.channels)
    across = sweep.across or min(-(-widest // sweep.columns), 8)
    rows, columns = sweep.rows * sweep.down, sweep.columns * across
    return Sweep(sweep.gaussians, rows, columns, together=sweep.together)


def predict(name: str, case_name: str, backward: bool) -> dict[str, Any]:
    """A row: microseconds a frame by each bound, and the counts that they come from.

    Args:
        name: of the implementation.
        case_name: in WORKLOADS, with few channels.
        backward: which of its kernels.
    """
    case = WORKLOADS[case_name]
    module = f"splat2d.{name}" + "_vjp" * backward
    kernel = next(
        compile_check.splat2d_kernels(compile_check.Job(module, case_name, "float32", "sm_90a"))
    )
    if backward:
        sweep = sweep_of(name, case)
        warps = sweep.together * sweep.warps
        gaussians = walk.reached(case, sweep.together > 1)
        work = walk.pulling(case, sweep, gaussians)
        reads = partial(walk.reads_pulling, case, sweep, gaussians)
    else:
        tile = tile_of(name, case)
        warps = tile.warps
        gaussians = walk.reached(case, case.gaussians > gather.SORTED)
        work = walk.drawing(case, tile, gaussians)
        reads = partial(walk.reads_drawing, case, tile, gaussians)

    *around, drawing = sass.nest(kernel.instructions)
    exponentials = _count(drawing, ("MUFU.EX2",))
    draws = work.pixels / 32 / exponentials

    def total(count):
        """Of instructions that `count` counts."""
        # Unrolled copies of the drawing loop are left out: `draws` are all evaluations. A loop that
        # runs once is not there, which leaves the last of `trips` over.
        copies = [_count(level, ("MUFU.EX2",)) / exponentials for level in around]
        each = [count(x) - copy * count(drawing) for x, copy in zip(around, copies, strict=True)]
        return sum(map(operator.mul, each, work.trips)) + count(drawing) * draws

    instructions = total(len)
    accesses = total(lambda level: _count(level, MEMORY))

    resident = min(32, 64 // warps, 65536 // (kernel.registers * 32 * warps))
    if kernel.shared_bytes:
        resident = min(resident, L1 // kernel.shared_bytes)
    blocks = [reads(CORES * i) for i in range(ROUNDS * resident)]
    asked, missed = l1.traffic(blocks, resident, L1 - resident * kernel.shared_bytes)
    from_l2 = missed * work.blocks / len(blocks)
    frame = 4 * case.height * case.width * case.channels
    arrays = frame + 4 * case.gaussians * (7 + case.channels) * (2 if backward else 1)
    rates = RATES[KIND]
    bounds = {
        "issue": instructions / (CORES * 4 * CLOCK * USED),
        "exp2": work.pixels / rates.exponentials,
        "l1": accesses / (CORES * CLOCK),
        "l2": from_l2 / L2,
        "dram": arrays / rates.bytes,
    }
    bounds = {unit: round(1e6 * x, 3) for unit, x in bounds.items()}
    most = max(bounds, key=bounds.__getitem__)
    return {
        "case": case_name,
        "implementation": name,
        "pass": "backward" if backward else "forward",
        "microseconds": bounds[most],
        "bound": most,
        "bounds": bounds,
        "warp_instructions": round(instructions),
        "pairs": round(work.pixels),
        "l1_hit": round(1 - missed / asked, 3),
        "l2_read_bytes": round(from_l2),
        # A channel has stores of its own, and those of every channel touch all sectors.
        "stored_bytes": 0 if backward else frame * case.channels,
        "registers": kernel.registers,
        "spill_bytes": kernel.spill_bytes,
    }


COLUMNS = (
    *("case", "implementation", "pass", "us", "bound"),
    *("issue", "exp2", "l1", "l2", "dram", "L1 hit", "L2 kB"),
)
LINE = "{:8} {:14} {:9} {:>7} {:6} {:>7} {:>7} {:>7} {:>7} {:>7} {:>6} {:>9}"


def main(arguments: list[str] | None = None) -> None:
    """Predicts, prints a table, and writes its record as JSON where asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kernels", nargs="+", default=KERNELS, choices=KERNELS)
    parser.add_argument("--cases", nargs="+", default=CASES, choices=CASES)
    parser.add_argument("--output", type=Path, help="write the record here")
    options = parser.parse_args(arguments)
    if reason := aot.missing():
        parser.error(f"cannot compile for a GPU here: {reason}")
    jax.config.update("jax_platforms", "cpu")

    print(LINE.format(*COLUMNS))
    rows = []
    for case in options.cases:
        for name in options.kernels:
            for backward in (False, True):
                row = predict(name, case, backward)
                first, last = list(row.values())[:5], (row["l1_hit"], row["l2_read_bytes"] // 1000)
                print(LINE.format(*first, *row["bounds"].values(), *last), flush=True)
                rows.append(row)
    if options.output is not None:
        origin = record.origin("pallas_kernels.tools.predict", arguments)
        origin["versions"]["ptxas"] = aot.ptxas_version()
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps({**origin, "rows": rows}, indent=1) + "\n")


def _count(instructions, operations):
    """How many are one of these operations, whatever modifiers follow."""
    return sum(x.operation.startswith(operations) for x in instructions)


def _geometry(case):
    return gather.Geometry(case.height, case.width, case.window, jnp.dtype("float32"), False)


if __name__ == "__main__":
    main()
