"""The front's table of speed and size: results that compare no arms."""

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.pages import backbones, cpu
from experiments.pages.markdown import page, words
from pallas_kernels.splat2d import bench_table

Result = Mapping[str, Any]


def summary(results: Mapping[str, Result]) -> str:
    """A row for each result of speed or size."""
    rows = [
        [
            "[splat2d on a CPU](../pallas_kernels/README.md#figures)",
            _times([_faster(row) for row in _against_baseline(results["cpu_splat2d"])])
            + " times as fast as the published baseline, forward and backward",
        ],
        ["[GPU kernels, compiled](../pallas_kernels/README.md#figures)", _compiled(results)],
        [
            "[How splat2d's cost grows](results/splat2d_growth_cpu.md)",
            "against N, side, K and C ([figure](results/figures/splat2d_growth_cpu.png))",
        ],
        ["[What an adapter adds to a step](results/step_cost_cpu.md)", _steps(results)],
        ["[Speed of the backbones](results/backbone_speed_cpu.md)", _speed(results)],
        ["[Sizes of the backbones](results/backbone_sizes.md)", _sizes(results)],
        [
            "[Convolutions](results/depthwise_cpu.md)",
            f"{_times(_convolutions(results))} times as fast as `lax.conv`",
        ],
        [
            "[Operations in scans](results/loops_cpu.md)",
            f"gradients {_times(_loops(results))} times as fast as the definition's",
        ],
        [
            "[Loading](results/loader_cpu.md)",
            f"{_times(_loading(results))} times as fast as TAU trains here",
        ],
    ]
    lines = [f"| {name} | {found} |" for name, found in rows]
    return page("## Speed and size, on a CPU\n", "\n".join(["| | |", "| --- | --- |", *lines]))


def _times(ratios: Sequence[float]) -> str:
    least, greatest = (f"{x:,.0f}" if x >= 10 else f"{x:.1f}" for x in (min(ratios), max(ratios)))
    return f"{least} to {greatest}"


def _against_baseline(result: Result) -> list[tuple[Result, Result]]:
    """Rows of the XLA implementation with the baseline's on the same case."""
    rows = result["rows"]
    baseline = {row["case"]: row for row in rows if row["implementation"] == bench_table.BASELINE}
    return [
        (row, baseline[row["case"]])
        for row in rows
        if row["implementation"] == "xla" and row["case"] in baseline
    ]


def _faster(pair: tuple[Result, Result]) -> float:
    ours, theirs = (row[bench_table.PASSES[-1]]["cpu"] for row in pair)
    return theirs / ours


def _steps(results: Mapping[str, Result]) -> str:
    found = cpu.step_ratios(results["step_cost_cpu"])
    ratios = [f"{ratio:.2f} ({row['size']})" for row, ratio in found if row["adapter"] == "tracked"]
    return f"a step of PDR tracked takes {words(ratios)} times the CPU time of plain TAU's"


def _compiled(results: Mapping[str, Result]) -> str:
    rows = [row for row in results["compile_check"]["rows"] if "kernel" in row]
    spilled = sum(row["spill_bytes"] for row in rows)
    return f"{len(rows)} kernels spill {spilled} bytes; none was run or timed on a GPU"


def _speed(results: Mapping[str, Result]) -> str:
    ratios = [
        row["beside"]["step_cpu_seconds"] / row["step_cpu_seconds"]
        for row in results["backbone_speed_cpu"]["rows"]
        if "step_cpu_seconds" in row.get("beside", {})
    ]
    return (
        f"a training step, in CPU time, {_times(ratios)} times as fast as PyTorch's; at least as "
        f"fast for {sum(x >= 1 for x in ratios)} of {len(ratios)}"
    )


def _sizes(results: Mapping[str, Result]) -> str:
    rows = results["backbone_sizes"]["rows"]
    same = sum(
        backbones.agrees(row["parameters"] / 1e6, row["published"]["parameters"]) for row in rows
    )
    return f"{same} of {len(rows)} published parameter counts met to the last digit"


def _convolutions(results: Mapping[str, Result]) -> list[float]:
    cases: dict[tuple[str, str], dict[str, float]] = {}
    for row in results["depthwise_cpu"]["rows"]:
        cases.setdefault((row["where"], row["pass"]), {})[row["form"]] = row["min_ms"]
    return [times["lax.conv"] / times["pdr_jax"] for times in cases.values()]


def _loops(results: Mapping[str, Result]) -> list[float]:
    cases: dict[str, list[float]] = {}
    for row in results["loops_cpu"]["rows"]:
        cases.setdefault(row["case"], []).append(row["gradient"]["min_ms"])
    return [times[0] / times[-1] for times in cases.values()]


def _loading(results: Mapping[str, Result]) -> list[float]:
    return [max(row["pipeline"].values()) / row["step"] for row in results["loader_cpu"]["rows"]]
