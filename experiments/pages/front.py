"""The front of the experiments: each study's question, answer, and mean and span per arm."""

from collections.abc import Mapping
from typing import Any

from experiments import backbones as backbones_study
from experiments.pages import (
    backbones,
    faults,
    futures,
    judge,
    measured,
    several_processes,
    topologies,
)
from experiments.pages.markdown import page, paragraph, spread, table, words

Result = Mapping[str, Any]

HEAD = """\
# Experiments

One script for each result; its docstring holds the command. `python -m experiments.tables` writes
this page and the pages behind it from the JSON files in `results/`, which record command, commit,
versions, hardware, date and seeds.

mse and mae are summed over a frame's pixels and averaged over frames (ERA5: averaged, in kelvin);
ssim is OpenSTL's (data range 2), ssim_range1 has data range 1; sharpness and spectral_energy are
ratios to the truth's, so 1 is best; st_lpips_alex is the shift-tolerant LPIPS
([all metrics](../pdr_jax/metrics/table.py)). A cell holds the mean over the seeds and their span.
"Ahead" and "behind" mean: with every seed. "With the mean of Y": PDR evaluated with its rendered
frames Y replaced by their mean over the test set. A model that loses nothing by it draws one static
picture at most. All trainings are short, on two CPU cores: trials, not benchmarks.

[The paper's tables, row by row](PAPER.md): published, ours, or why a row is empty.
"""


def document(results: Mapping[str, Result]) -> str:
    """experiments/README.md, from every result by name."""
    return page(
        HEAD,
        judge.summary(judge.of(results)),
        futures.summary(results),
        _backbones(results["backbones_era5"]),
        measured.summary(results),
        faults.summary(results["faults"]),
        several_processes.summary(results["several_processes"]),
        topologies.summary(results["topologies"]),
    )


def _backbones(result: Result) -> str:
    shown = ("rmse", "mae", "ssim_range1", "sharpness", "spectral_energy")
    scores = backbones_study.by_arm(result["runs"])
    arms = {
        arm: [scores[f"{name} {arm}"] for name in backbones_study.BACKBONES]
        for arm in (*backbones.BASES, "PDR, l1_ssim")
    }
    rows = [
        [arm, *(spread([row[metric] for row in found]) for metric in shown)]
        for arm, found in arms.items()
    ]
    counted = "; ".join(
        f"of {base}, in "
        + words([f"{name} ({n})" for name, n in backbones.gains(result["runs"], base).items()])
        for base in backbones.BASES
    )
    count = len(backbones_study.BACKBONES)
    return page(
        f"## [{count} backbones](results/backbones_era5.md): does PDR conv help behind each?\n",
        paragraph(
            f"On ERA5, one seed, the number of the {count} backbones behind which PDR conv is "
            f"ahead: {counted}. Cells are the mean over the backbones and their span."
        ),
        table(["", *shown], rows),
        "![change of each figure by backbone](results/figures/backbones_era5.png)\n",
    )
