"""How the cost of `splat2d` grows with N, H x W, K and C, one at a time, from one workload.

    python -m experiments.splat2d_growth

Writes results/splat2d_growth_cpu.json and results/figures/splat2d_growth_cpu.png; on a GPU, with
larger sizes, splat2d_growth_gpu. Takes two minutes on a CPU.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from experiments.provenance import RESULTS, record
from pallas_kernels import gpu
from pallas_kernels.splat2d import IMPLEMENTATIONS, bench
from pallas_kernels.splat2d.api import PORTABLE
from pallas_kernels.splat2d.bench_table import PASSES
from pallas_kernels.splat2d.shapes import Case
from pallas_kernels.tools import timing
from pdr_jax.files import write_json

AXES = {"N": "Gaussians", "side": "rows and columns of the frame", "K": "window", "C": "channels"}

ON_CPU = Case(frames=4, height=64, width=64, channels=3, gaussians=256, window=15)
ON_GPU = Case(frames=32, height=512, width=512, channels=3, gaussians=1000, window=31)

CPU_VALUES = {
    "N": (32, 256, 1024, 4096),
    "side": (16, 64, 128, 256),
    "K": (3, 15, 31, 63),
    "C": (1, 3, 16, 64),
}
GPU_VALUES = {
    "N": (100, 1000, 10_000, 100_000),
    "side": (32, 64, 128, 256, 512, 1024),
    "K": (3, 7, 15, 31, 63, 101),
    "C": (1, 3, 8, 16, 32, 69, 128),
}

DENSE_ON_CPU = 2**20
"""N x H x W of `reference` on a CPU, at most: more takes seconds a frame."""


def cases() -> Iterator[tuple[str, int, Case]]:
    """The axis that changes, its value, and the workload."""
    start, values = (ON_GPU, GPU_VALUES) if gpu.present() else (ON_CPU, CPU_VALUES)
    for axis, sizes in values.items():
        for size in sizes:
            changes: dict[str, dict[str, Any]] = {
                "N": {"gaussians": size},
                "side": {"height": size, "width": size},
                "K": {"window": size},
                "C": {"channels": size},
            }
            yield axis, size, start._replace(**changes[axis])


def rows(implementations: Sequence[str], repeats: int, seed: int) -> Iterator[dict[str, Any]]:
    """Every point that can be measured here."""
    known: dict[tuple[Case, str], dict[str, Any]] = {}  # the start lies on every axis
    for axis, size, case in cases():
        for implementation in implementations:
            dense = case.gaussians * case.height * case.width
            if implementation == "reference" and not gpu.present() and dense > DENSE_ON_CPU:
                continue
            frames = bench.batch(case, implementation)
            point = case._replace(frames=frames), implementation
            try:
                cells = known.get(point) or bench.measure(*point, repeats, seed)
            except RuntimeError as error:
                print(f"{axis} = {size} {implementation}: left out, {error}", flush=True)
                continue
            known[point] = cells
            print(f"{axis} = {size} {implementation}: {cells['forward']['median']} ms", flush=True)
            yield {"along": axis, "value": size, "implementation": implementation, **cells}


def draw(result: dict[str, Any], path: Path) -> None:
    """A panel for each axis: time a frame, forward drawn through, forward+backward dashed."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.6), layout="constrained")
    panels = figure.subplots(1, len(AXES), sharey=True)
    for (axis, label), panel in zip(AXES.items(), panels, strict=True):
        for i, name in enumerate(result["implementations"]):
            points = [
                row
                for row in result["rows"]
                if row["along"] == axis and row["implementation"] == name
            ]
            for part, style in zip(PASSES, ("-", "--"), strict=True):
                panel.loglog(
                    [row["value"] for row in points],
                    [row[part][result["figure"]] for row in points],
                    f"o{style}",
                    color=f"C{i}",
                    markersize=3,
                    label=f"{name}, {part}",
                )
        sizes = list(dict.fromkeys(x["value"] for x in result["rows"] if x["along"] == axis))
        panel.set_xticks(sizes, [f"{size:,}" for size in sizes], fontsize="small")
        panel.set_xticks([], minor=True)
        panel.set_xlabel(f"{axis}: {label}")
        panel.grid(alpha=0.3)
    unit = "CPU milliseconds" if result["figure"] == "cpu" else "milliseconds"
    panels[0].set_ylabel(f"{unit} a frame")
    handles, labels = panels[-1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, metadata={"Software": None})


def main() -> None:
    """Measures, and writes the result and its figure."""
    parser = argparse.ArgumentParser(description="How the cost of splat2d grows.")
    here = list(IMPLEMENTATIONS) if gpu.present() else PORTABLE
    parser.add_argument("--implementations", nargs="+", default=here, choices=IMPLEMENTATIONS)
    parser.add_argument("--repeats", type=int, default=timing.repeats_here())
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    start = ON_GPU if gpu.present() else ON_CPU
    result = record(seeds=[options.seed])
    result |= {
        "start": start._asdict(),
        "repeats": options.repeats,
        "unit": "milliseconds per frame",
        # The least CPU time does not need an idle machine; on a GPU there is the median.
        "figure": "median" if gpu.present() else "cpu",
        "rows": list(rows(options.implementations, options.repeats, options.seed)),
    }
    result["implementations"] = list(dict.fromkeys(x["implementation"] for x in result["rows"]))
    name = f"splat2d_growth_{'gpu' if gpu.present() else 'cpu'}"
    write_json(RESULTS / f"{name}.json", result)
    draw(result, RESULTS / "figures" / f"{name}.png")


if __name__ == "__main__":
    main()
