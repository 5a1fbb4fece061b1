"""The kernels: three parts of pallas_kernels/README.md, and the page on how the cost grows."""

from typing import Any

from experiments.pages.markdown import origin, page, table
from pallas_kernels.splat2d import bench_table


def splat2d(result: dict[str, Any]) -> str:
    """The speed of splat2d on a CPU."""
    header, *rows = bench_table.lines(result)
    return page(
        "### splat2d on a CPU\n",
        f"CPU time over all cores, the least of {result['repeats']} calls, and the published "
        "baseline's time divided by it. `tracked` has one Gaussian a pixel.\n",
        f"`{result['command']}`, commit {result['commit'][:10]}, {result['date'][:10]}, "
        f"{result['hardware']['cpu']}, {result['hardware']['cores']} cores (load "
        f"{result['hardware']['load']}: other work ran beside it), jax "
        f"{result['versions']['jax']}, seed {result['seed']}.\n",
        table(header, rows),
    )


def compiled(result: dict[str, Any]) -> str:
    """Registers, shared memory and instructions of the GPU kernels, compiled without a GPU."""
    rows = [row for row in result["rows"] if "kernel" in row]
    shown = [
        [
            row["module"],
            row["case"],
            str(row["registers"]),
            f"{row['shared_bytes']:,}",
            f"{row['instructions']:,}",
            f"{row['instructions_per_pair']:.1f}" if row["instructions_per_pair"] else "",
        ]
        for row in rows
        if row["module"].startswith("splat2d")
        and (row["dtype"], row["architecture"]) == ("float32", "sm_90a")
    ]
    spilled = sum(row["spill_bytes"] for row in rows)
    return page(
        "### The GPU kernels, compiled without a GPU\n",
        f"{len(rows)} kernels, float32 and bfloat16, for sm_90a and sm_80 (Mosaic: sm_90a), "
        f"spill {spilled} bytes in all. The table shows those of splat2d in float32 for sm_90a. "
        "Its last column counts the SASS instructions of the drawing loop for one pair of a pixel "
        "and a Gaussian; with more than 8 channels, a pair is counted once for each block of "
        "channels. These are static counts, not times: nothing was run.\n",
        f"`{result['command']}`, commit {result['commit'][:10]}, {result['date'][:10]}, jax "
        f"{result['versions']['jax']}.\n",
        table(
            ["", "", "registers", "shared, bytes", "instructions", "a pair"],
            shown,
        ),
    )


def predicted(result: dict[str, Any]) -> str:
    """What a static model says of splat2d's speed on a GPU."""
    rows: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for row in result["rows"]:
        rows.setdefault((row["case"], row["implementation"]), {})[row["pass"]] = row
    shown = [
        [
            *names,
            *(
                cell
                for row in (passes["forward"], passes["backward"])
                for cell in (f"{row['microseconds']:.2g}", row["bound"], f"{row['l1_hit']:.0%}")
            ),
        ]
        for names, passes in rows.items()
    ]
    return page(
        "### What a static model predicts for an H200\n",
        "**Predictions, not measurements: nothing was run.** Microseconds a frame, the unit that "
        "bounds them, and the share of loads that the first-level cache serves. "
        "[tools/predict.py](tools/predict.py) says what is counted and what is left out: launches, "
        "waiting, and what XLA puts around a kernel.\n",
        f"`{result['command']}`, commit {result['commit'][:10]}, {result['date'][:10]}, jax "
        f"{result['versions']['jax']}.\n",
        table(
            ["", "", "forward, us", "bound", "L1", "backward, us", "bound", "L1"],
            shown,
        ),
    )


def growth(result: dict[str, Any]) -> str:
    """The cost of splat2d on a CPU against each size: a figure, and the ends of its curves."""
    lines: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in result["rows"]:
        lines.setdefault((row["along"], row["implementation"]), []).append(row)
    rows = [
        [
            f"{axis}, {first['value']:,} to {last['value']:,}",
            implementation,
            *(
                f"{first[part]['cpu']:.3g} to {last[part]['cpu']:.3g}"
                for part in bench_table.PASSES
            ),
        ]
        for (axis, implementation), (first, *_, last) in lines.items()
    ]
    start = result["start"]
    return page(
        "# How the cost of splat2d grows, on a CPU\n",
        f"From {start['height']}x{start['width']}x{start['channels']}, N = "
        f"{start['gaussians']}, K = {start['window']}, one of N, the frame's side, K and C grows "
        "at a time. CPU milliseconds a frame, over all cores. `reference` was not run where its "
        "dense arrays would take too long. No GPU was measured.\n",
        origin(result),
        "![cost against N, side, K and C](figures/splat2d_growth_cpu.png)\n",
        table(["", "implementation", *bench_table.PASSES], rows),
    )
