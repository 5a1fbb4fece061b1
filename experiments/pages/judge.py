"""The pages of `experiments.judge`, one for each data set, and what the front says of it."""

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.judged import SETTINGS
from experiments.pages import futures
from experiments.pages.arms import CONTROLS, TIMES, Runs, ahead, by_label, spreads, standing
from experiments.pages.markdown import bullets, origin, page, paragraph, spread, table, words
from pdr_jax.recipes import DEFAULT_ADAPTER

Result = Mapping[str, Any]

DEFAULT = f"PDR {DEFAULT_ADAPTER}"
PICTURES = (
    "mse", "mae", "psnr", "psnr_uint8", "ssim", "ssim_range1", "st_lpips_alex", "sharpness",
    "spectral_energy", "warping_error", "warping_ratio", "psnr_mcvd", "ssim_mcvd",
)  # fmt: skip
FEW = ("mse", "ssim_range1", "st_lpips_alex", "sharpness", "psnr_mcvd", "ssim_mcvd")
FIELDS = ("rmse", "mae", "psnr", "ssim_range1", "sharpness", "spectral_energy")


def shown(result: Result, few: bool = False) -> list[str]:
    """The metrics of a data set's tables, as far as they were measured; `few` for the front's."""
    names: Sequence[str]
    if result["unit"] == "the range [0, 1]":
        names = FEW if few else PICTURES
    else:
        names = ("rmse", "mae", "ssim_range1", "sharpness") if few else FIELDS
    scores = next(iter(main_runs(result)[0]["scores"].values()))
    return [name for name in names if name in scores["model"]]


def main_runs(result: Result) -> Runs:
    """The runs of the main arms."""
    return result["parts"]["main"]["runs"]


def verdict(result: Result) -> str:
    """What the main arms say of the default adapter, as far as they were run."""
    said = [
        (f"{DEFAULT} is", DEFAULT, "plain", "persistence"),
        ("Of the presets that draw anew it is", DEFAULT, "PDR paper", "PDR conv"),
        ("PDR paper itself is", "PDR paper", "plain"),
        (
            "At the same cost it is",
            DEFAULT,
            "plain, as large as tracked",
            "plain, as long as tracked",
        ),
        (
            f"Is it the Gaussians? {DEFAULT} is",
            DEFAULT,
            "tracked, pixels warped",
            "tracked, pixels splatted",
            "tracked, not moved",
        ),
    ]
    compared = ((begin, _against(result, *arms)) for begin, *arms in said)
    lines = [f"{begin} {standings}." for begin, standings in compared if standings]
    return bullets(*lines, *_longer(result, shown(result, few=True)))


def _against(result: Result, label: str, *others: str) -> str:
    """How an arm stands against others, those that were run; "" if there are none."""
    runs = main_runs(result)
    arms, horizon = by_label(runs), next(iter(runs[0]["scores"]))
    named = shown(result, few=True)
    return "; ".join(
        standing(runs, horizon, label, other, named)
        for other in others
        if label in arms and (other in arms or other in CONTROLS)
    )


def _longer(result: Result, named: Sequence[str]) -> list[str]:
    """What the long trainings say, if there are any."""
    if "long" not in result["parts"]:
        return []
    runs = result["parts"]["long"]["runs"]
    horizon, (plain, *adapters) = next(iter(runs[0]["scores"])), by_label(runs)
    steps = f"{runs[0]['steps']} steps"
    said = [f"{label} is {standing(runs, horizon, label, plain, named)}" for label in adapters]
    text = "; ".join(said).replace(f", {steps}", "")
    seeds = sorted({str(run["seed"]) for run in runs})
    return [f"After {steps}, seed {words(seeds)}: {text}."]


def document(result: Result) -> str:
    """Everything that was measured on a data set."""
    parts = [f"# {result['title']}\n", f"Errors in units of {result['unit']}.\n", verdict(result)]
    titles = {
        "main": "## Arms\n",
        "ablations": "## Tracked without one of its parts\n",
        "paper": "## The paper's studies, of PDR paper\n",
        "backbones": "## Behind other backbones\n",
        "long": "## Ten times as long\n",
        "futures": "## Futures that a diffusion draws\n",
    }
    for name, title in titles.items():
        if name in result["parts"]:
            part = result["parts"][name]
            parts += [title, f"{part['data']}\n", origin(part)]
            if name == "main":
                parts.append(
                    f'"As long as tracked" has {part["step_ratio"]} times the steps of the '
                    "others: as many times longer is a step of PDR tracked.\n"
                )
            if name == "futures":
                parts.append(futures.tables(part["runs"]))
                continue
            for horizon in part["runs"][0]["scores"]:
                parts += [f"### {horizon}\n", _arms(part["runs"], horizon, shown(result))]
            if name == "main":
                horizon = next(iter(part["runs"][0]["scores"]))
                parts += [
                    _counts(part["runs"], horizon, shown(result)),
                    _controls(part["runs"], horizon),
                ]
            if name == "long":
                parts.append(f"![loss curves](figures/judge_{result['data']}_long.png)\n")
            tracks = _tracks(part["runs"])
            if tracks:
                parts += ["How the Gaussians move and are used:\n", tracks]
    return page(*parts, TIMES)


def _arms(runs: Runs, horizon: str, metrics: Sequence[str]) -> str:
    rows = [_still(runs, horizon, metrics, "0", "", "")]
    for label, seeds in by_label(runs).items():
        minutes = spread([run["train_seconds"] / 60 for run in seeds]).partition(" ")[0]
        head = [f"**{label}**", f"{seeds[0]['parameters']:,}", f"{seeds[0]['steps']:,}", minutes]
        rows.append([*head, *spreads(runs, horizon, label, metrics)])
    return table(["", "parameters", "steps", "minutes", *metrics], rows)


def _counts(runs: Runs, horizon: str, metrics: Sequence[str]) -> str:
    arms = ["persistence", *(label for label in by_label(runs) if label != DEFAULT)]
    rows = [
        [f"over {'copying the last frame' if other == 'persistence' else other}",
         *(str(ahead(runs, horizon, DEFAULT, other, metric)) for metric in metrics)]
        for other in arms
    ]  # fmt: skip
    seeds = len(by_label(runs)[DEFAULT])
    return f"With how many of {seeds} seeds {DEFAULT} is ahead:\n\n" + table(["", *metrics], rows)


def _controls(runs: Runs, horizon: str) -> str:
    named = [name for name in FIELDS if name in runs[0]["scores"][horizon]["model"]]
    rows = []
    for label in by_label(runs):
        if label.startswith("PDR"):
            rows.append([f"**{label}**", *spreads(runs, horizon, label, named)])
            rows += [
                [f"&nbsp;&nbsp;{name}", *spreads(runs, horizon, label, named, name)]
                for name in ("coarse", "mean Y", "shuffled Y")
            ]
    return (
        "Is the rendered branch used? The coarse frames alone; the rendered frames Y replaced by "
        "their mean, or by those of another clip:\n\n" + table(["", *named], rows)
    )


def _tracks(runs: Runs) -> str:
    moving = [run for run in runs if run.get("tracks")]
    if not moving:
        return ""
    names = list(dict.fromkeys(name for run in moving for name in run["tracks"]))
    rows = [
        [label, *(
            spread([run["tracks"][name] for run in seeds]) if name in seeds[0]["tracks"] else ""
            for name in names
        )]
        for label, seeds in by_label(moving).items()
    ]  # fmt: skip
    return table(["", *names], rows)


def of(results: Mapping[str, Result]) -> dict[str, Result]:
    """The judge's results among all, by name."""
    return {name: result for name, result in results.items() if name.startswith("judge_")}


def summary(results: Mapping[str, Result]) -> str:
    """The front's part: a verdict and a table for each data set."""
    parts = []
    for name, result in results.items():
        runs, named = main_runs(result), shown(result, few=True)
        horizon = next(iter(runs[0]["scores"]))
        rows = [_still(runs, horizon, named, "0")]
        rows += [
            [label, f"{seeds[0]['parameters']:,}", *spreads(runs, horizon, label, named)]
            for label, seeds in by_label(runs).items()
        ]
        parts += [
            f"### [{result['title']}](results/{name}.md)\n",
            verdict(result),
            table([horizon, "parameters", *named], rows),
        ]
    judged = {result["data"] for result in results.values()}
    missing = [setting.title for data, setting in SETTINGS.items() if data not in judged]
    if missing:
        parts.append(paragraph(f"Not run yet: {'; '.join(missing)}."))
    return page("## [The judge](judge.py): which adapter helps, and why?\n", *parts)


def house(results: Mapping[str, Result]) -> str:
    """The table of the top README, of KTH, and what every data set says."""
    result = results["judge_kth"]
    runs = main_runs(result)
    horizon = next(iter(runs[0]["scores"]))
    few = ("mse", "psnr", "ssim_range1", "st_lpips_alex", "sharpness")
    arms = ("plain", "plain, as large as tracked", "plain, as long as tracked", "PDR paper",
            "PDR conv", "PDR tracked", "tracked, not moved")  # fmt: skip
    rows = [_still(runs, horizon, few, "0")]
    rows += [
        [label, f"{by_label(runs)[label][0]['parameters']:,}", *spreads(runs, horizon, label, few)]
        for label in arms
    ]
    steps, longer = (by_label(runs)[arm][0]["steps"] for arm in (arms[0], arms[2]))
    return (
        "\n"
        + page(
            table(["", "parameters", *few], rows),
            paragraph(
                f"{result['title']}; {steps} steps each (as long as tracked: {longer}) with L1 + "
                f"SSIM; mean over "
                f"{len(by_label(runs)['plain'])} seeds, and their span; lower is better for mse "
                "and st_lpips_alex, 1 for sharpness. With every seed:"
            ),
            bullets(*(_in_a_line(result) for result in results.values())),
            "[Every data set, arm and figure](experiments/README.md).\n",
        )
        + "\n"
    )


def _in_a_line(result: Result) -> str:
    """What a data set says of the default and of the paper's adapter."""
    others = ("persistence", "plain", "plain, as long as tracked", "PDR paper")
    name = result["title"].partition(",")[0]
    return f"{name}: {DEFAULT} (the default) is {_against(result, DEFAULT, *others)}."


def _still(runs: Runs, horizon: str, metrics: Sequence[str], *head: str) -> list[str]:
    """The row of copying the last frame, which has no seeds."""
    first = runs[0]["label"]
    return [
        "copy the last frame",
        *head,
        *spreads(runs[:1], horizon, first, metrics, "persistence"),
    ]
