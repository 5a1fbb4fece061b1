"""Writes every document that shows results (python -m experiments.tables).

From the JSON files in results/: one page for each result, experiments/README.md, which sums them
up, and the parts between marks in README.md and pallas_kernels/README.md. No figure is typed by
hand. Tests fail when a file, or what it says of the figures in words, differs from the results.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.pages import (
    adaptive,
    backbones,
    cpu,
    faults,
    front,
    futures,
    judge,
    kernels,
    paper,
    several_processes,
    topologies,
)
from experiments.pages.markdown import page
from experiments.provenance import RESULTS

ROOT = Path(__file__).parent.parent
HOUSE = ("<!-- results: begin -->\n", "<!-- results: end -->\n")
KERNELS = ("<!-- written by experiments/tables.py -->\n", "<!-- end -->\n")


def main() -> None:
    """Writes the files."""
    for path, text in documents().items():
        path.write_text(text)


def documents() -> dict[Path, str]:
    """Every file and its whole text."""
    results = load()
    house, of_kernels = ROOT / "README.md", ROOT / "pallas_kernels" / "README.md"
    return {
        ROOT / "experiments" / "README.md": front.document(results),
        ROOT / "experiments" / "PAPER.md": paper.document(results),
        **{RESULTS / f"{name}.md": _page(name, text) for name, text in pages(results).items()},
        house: between(HOUSE, house.read_text(), judge.house(judge.of(results))),
        of_kernels: between(
            KERNELS,
            of_kernels.read_text(),
            page(
                kernels.splat2d(results["cpu_splat2d"]),
                kernels.predicted(results["predicted_splat2d"]),
                kernels.compiled(results["compile_check"]),
            ),
        ),
    }


def load() -> dict[str, dict[str, Any]]:
    """Every committed result, by name."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))}


def pages(results: Mapping[str, dict[str, Any]]) -> dict[str, str]:
    """The page of each result, without those whose tables stand in the kernels' README."""
    return {
        **{name: judge.document(result) for name, result in judge.of(results).items()},
        "adaptive": adaptive.document(results["adaptive"]),
        "backbones_era5": backbones.comparison(results["backbones_era5"]),
        "backbone_speed_cpu": backbones.speed(results["backbone_speed_cpu"]),
        "backbone_sizes": backbones.sizes(results["backbone_sizes"]),
        "splat2d_growth_cpu": kernels.growth(results["splat2d_growth_cpu"]),
        "depthwise_cpu": cpu.convolutions(results["depthwise_cpu"]),
        "loops_cpu": cpu.loops(results["loops_cpu"]),
        "loader_cpu": cpu.loader(results["loader_cpu"]),
        "step_cost_cpu": cpu.steps(results["step_cost_cpu"]),
        "faults": faults.document(results["faults"]),
        "several_processes": several_processes.document(results["several_processes"]),
        "nowcast": futures.nowcast(results["nowcast"]),
        "topologies": topologies.document(results["topologies"]),
    }


def _page(name: str, text: str) -> str:
    foot = f"[All experiments](../README.md). Written from {name}.json by experiments/tables.py.\n"
    return page(text, foot)


def between(marks: tuple[str, str], text: str, part: str) -> str:
    """A document with the part between two marks replaced.

    Raises:
      ValueError: the document lacks a mark.
    """
    for mark in marks:
        if mark not in text:
            raise ValueError(f"the document has no line {mark!r}; expected one to write after")
    before, _, rest = text.partition(marks[0])
    return before + marks[0] + part + marks[1] + rest.partition(marks[1])[2]


if __name__ == "__main__":
    main()
