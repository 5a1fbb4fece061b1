"""The paper's tables, row by row: what was published, and what was measured here."""

import csv
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.pages.arms import by_label
from experiments.pages.markdown import page, paragraph, spread, table

Result = Mapping[str, Any]
Row = Mapping[str, str]

ROWS = Path(__file__).parents[1] / "paper_tables.csv"
JUDGED = {
    "TaxiBJ": "judge_taxinyc",
    "WeatherBench T2m": "judge_era5",
    "KTH": "judge_kth",
    "KTH 64x64": "judge_kth_mcvd",
}
"""The result whose data are nearest to the paper's, of those that could be had."""
METRICS = {"lpips": "st_lpips_alex"}
"""What stands for a published metric, if it has another name here."""
TAU = "plain, its own loss"

HEAD = """\
# The paper's tables

`python -m experiments.paper_tables` prints them. "Published" is the paper's (arXiv 2606.31050), not
rerun; empty where the figure is not known to us. "Ours" is of other data and of small sizes and
short trainings on two CPU cores, in the units of those data: within a table, rows compare with rows
on the same data, never with the column beside them.
"""
FOOT = """\
lpips is published with AlexNet's weights, and ours is the shift-tolerant st_lpips_alex, another
metric. On KTH 64x64 ours are by MCVD's protocol, over 30 frames. "Recovered" is the part of the gap
between TAU's ratio to the truth and 1 that is closed; below 0 it is wider. Errors on ERA5 are in
kelvin, on TaxiNYC in taxis an hour and cell. TAU is narrowed, and takes as many steps as PDR; where
no loss is named it has its own, MSE + divergence. Seeds, commits and hardware stand on the pages
that are linked.
"""


def document(results: Mapping[str, Result]) -> str:
    """experiments/PAPER.md."""
    with ROWS.open(newline="") as file:
        rows = list(csv.DictReader(file))
    parts = [
        page(
            f"## {name}\n",
            table(["", "of", "published", "ours", "ours on"], _cells(group, results)),
        )
        for name, group in itertools.groupby(rows, lambda row: row["table"])
    ]
    return page(HEAD, *parts, paragraph(FOOT))


def _cells(rows: Any, results: Mapping[str, Result]) -> list[list[str]]:
    cells = []
    for row in rows:
        of = " ".join(filter(None, (row["data"], row["metric"])))
        cells.append([row["row"], of, row["published"], *ours(row, results)])
    return cells


def ours(row: Row, results: Mapping[str, Result]) -> tuple[str, str]:
    """Our figure and the data it is of; or "" and the reason."""
    if row["why"]:
        return "", row["why"]
    metric, _, kind = row["metric"].partition(", ")
    if kind == "%":
        runs = results["backbones_era5"]["runs"]
        changed = _change(runs, row["arm"], metric)
        return changed, "[ERA5 over Britain](results/backbones_era5.md)"
    name = JUDGED[row["data"]]
    result = results[name]
    runs = [run for part in ("main", "paper") for run in _runs(result, part)]
    still = row["arm"] == "persistence"
    found = runs[:1] if still else by_label(runs).get(row["arm"], [])
    if not found:
        return "", "not run yet"
    metric = METRICS.get(metric, metric)
    if still:
        figures = [list(found[0]["scores"].values())[-1]["persistence"][metric]]
    elif kind:
        figures = _recovered(found, by_label(runs)[TAU], metric)
    else:
        figures = [_model(run)[metric] for run in found]
    title = result["title"].partition(",")[0]
    horizon = list(found[0]["scores"])[-1]
    remark = f" {metric}" if metric == METRICS["lpips"] else ""
    return spread(figures) + remark, f"[{title}, {horizon}](results/{name}.md)"


def _runs(result: Result, part: str) -> Sequence[dict[str, Any]]:
    return result["parts"].get(part, {"runs": []})["runs"]


def _model(run: Mapping[str, Any]) -> Mapping[str, float]:
    """A run's scores at the longest horizon, which is the paper's on KTH."""
    return list(run["scores"].values())[-1]["model"]


def _recovered(
    runs: Sequence[Mapping[str, Any]], plain: Sequence[Mapping[str, Any]], metric: str
) -> list[float]:
    """The part of TAU's gap to 1 that each seed of an arm closes, in percent."""

    def gap(run: Mapping[str, Any]) -> float:
        return abs(_model(run)[metric] - 1)

    before = {run["seed"]: gap(run) for run in plain}
    return [100 * (1 - gap(run) / before[run["seed"]]) for run in runs]


def _change(runs: Sequence[dict[str, Any]], backbone: str, metric: str) -> str:
    """What PDR changes of a backbone trained with MSE, in percent."""
    plain, pdr = (
        _model(by_label(runs)[f"{backbone} {arm}"][0])[metric]
        for arm in ("plain, mse", "PDR, l1_ssim")
    )
    return f"{100 * (pdr / plain - 1):+.2f}"
