"""Predictions beside futures that are drawn: the judge's part, and the page of `nowcast`."""

from collections.abc import Mapping
from typing import Any

from experiments.judge import DRAWN
from experiments.pages.arms import TIMES, Runs, by_label, spreads, standing
from experiments.pages.markdown import bullets, origin, page, paragraph, spread, table

Result = Mapping[str, Any]

FIGURES = (
    "mse", "mae", "crps", "mse_best", "spread_skill", "ssim_range1", "sharpness",
    "spectral_energy", "csi", "csi_pool4", "csi_pool16", "pod", "far", "bias", "fps",
)  # fmt: skip
JUDGED = ("mse", "crps", "sharpness", "csi", "csi_pool4", "bias")
SAMPLES = f", {DRAWN['samples']} samples"
EXTRAPOLATIONS = ("extrapolation", "pysteps")
COMPARED = {
    "PDR tracked": ("persistence", *EXTRAPOLATIONS, "plain", "PDR paper"),
    f"plain + diffusion{SAMPLES}": ("plain + diffusion", "plain", *EXTRAPOLATIONS),
    f"PDR tracked + diffusion{SAMPLES}": (
        "PDR tracked + diffusion",
        "PDR tracked",
        f"plain + diffusion{SAMPLES}",
        *EXTRAPOLATIONS,
    ),
}
"""What the verdict sets against what."""


def as_arms(runs: Runs) -> Runs:
    """Runs whose samples, and whose extrapolations, are runs of their own."""
    found = []
    for run in runs:
        label = run["label"]
        for row, name in {
            **{name: name for name in EXTRAPOLATIONS},
            "model": label,
            f"model ({DRAWN['samples']} samples)": label + SAMPLES,
        }.items():
            scores = {
                horizon: {"model": rows[row], "persistence": rows["persistence"]}
                for horizon, rows in run["scores"].items()
                if row in rows
            }
            if scores:
                found.append({**run, "label": name, "scores": scores})
    return found


def tables(runs: Runs) -> str:
    """The verdict, and every figure."""
    arms = as_arms(runs)
    horizon = next(iter(arms[0]["scores"]))
    measured = {name for run in arms for name in run["scores"][horizon]["model"]}
    shown = [name for name in FIGURES if name in measured]
    # One row for all seeds, but that each event of the radar has its own.
    known = [run["scores"][horizon]["persistence"] for run in arms]
    copied = [sorted({row[name] for row in known if name in row}) for name in shown]
    still = ["copy the last frame", "", *(spread(each) if each else "" for each in copied)]
    rows = [
        [f"**{label}**", _parameters(label, same), *spreads(arms, horizon, label, shown)]
        for label, same in by_label(arms).items()
    ]
    return page(
        verdict(arms, horizon),
        table([horizon, "parameters", *shown], [still, *rows]),
        paragraph(
            "The CRPS of one prediction is its mean absolute error, here of a pixel; that of "
            f"{DRAWN['samples']} samples is the fair one. Other figures of samples are means over "
            "them, and mse_best is that of the best; spread_skill is 1 where samples spread as far "
            "as they err. fps: frames a second, clip by clip, of one sample."
        ),
    )


def verdict(arms: Runs, horizon: str) -> str:
    """How tracked stands against what only moves frames, and futures against predictions."""
    labels = by_label(arms)
    measured = arms[0]["scores"][horizon]["model"]
    judged = [name for name in JUDGED if name in measured]
    lines = []
    for label, others in COMPARED.items():
        found = [
            standing(arms, horizon, label, other, judged)
            for other in others
            if other in labels or other == "persistence"
        ]
        lines.append(f"{label} is {'; '.join(found)}.")
    return bullets(*lines)


def summary(results: Mapping[str, Result]) -> str:
    """The front's part: a verdict for each data set."""
    drawn = {
        f"[{result['title']}](results/{name}.md)": result["parts"]["futures"]["runs"]
        for name, result in results.items()
        if "futures" in result.get("parts", {})
    }
    rain = results["nowcast"]
    drawn[f"[{rain['title']}](results/nowcast.md)"] = rain["runs"]
    parts = [part for title, runs in drawn.items() for part in (f"### {title}\n", _said(runs))]
    return page(
        "## [Rain](nowcast.py), and [drawn futures](judge.py): what is gained, and lost?\n",
        *parts,
    )


def _said(runs: Runs) -> str:
    arms = as_arms(runs)
    return verdict(arms, next(iter(arms[0]["scores"])))


def nowcast(result: Result) -> str:
    """The page of `experiments.nowcast`."""
    return page(
        f"# {result['title']}\n",
        paragraph(
            f"MeteoSwiss' maps, {result['reading']}. {result['note']} Each event tests what was "
            "trained on the others; the spans are over the events, which began at "
            f"{', '.join(result['events'])}. Errors in {result['unit']}."
        ),
        origin(dict(result)),
        tables(result["runs"]),
        TIMES,
    )


def _parameters(label: str, runs: Runs) -> str:
    return "" if label in EXTRAPOLATIONS else f"{runs[0]['parameters']:,}"
