"""The front of the experiments: each study's question, answer, and mean and span per arm."""

from collections.abc import Mapping, Sequence
from typing import Any

from experiments import backbones as backbones_study
from experiments.pages import backbones, measured
from experiments.pages.arms import DEFAULT, WIDE, Runs, by_label, spreads, standing
from experiments.pages.markdown import bullets, page, paragraph, spread, table, words
from experiments.pages.studies import (
    ON_FLOW,
    ON_SPRITES,
    SHOWN,
    gains_of_the_loss,
    passed_persistence,
)
from pdr_jax import recipes

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
"""


def document(results: Mapping[str, Result]) -> str:
    """experiments/README.md, from every result by name."""
    return page(
        HEAD,
        _sprites(results["moving_sprites"]),
        _kth(results["kth_person01"]["runs"], results["adapters"]["kth"]),
        _adapters(results["adapters"]),
        _flow_and_weather(results["flow_and_weather"]),
        _backbones(results["backbones_era5"]),
        measured.summary(results),
    )


def sprites(result: Result) -> str:
    """The table of the top README, and what it says."""
    runs = result["runs"]
    (horizon,) = runs[0]["scores"]
    loss = runs[0]["label"].rpartition(", ")[2]
    shown = ("mse", "psnr", "ssim", "sharpness")
    rows = [_still(runs, horizon, shown), *_arms(runs, horizon, shown)]
    return (
        "\n"
        + page(
            table(["", "parameters", *shown], rows).replace(f", {loss} |", " |"),
            paragraph(
                f"{result['data']}; {runs[0]['steps']} steps each with L1 + SSIM; mean over "
                f"{len(result['seeds'])} seeds, and their span; lower is better for mse, 1 for "
                f"sharpness. {DEFAULT} (the default adapter) is "
                f"{standing(runs, horizon, loss, 'plain', shown)}; "
                f"{standing(runs, horizon, loss, WIDE, shown)}. "
                "[Every figure](experiments/results/moving_sprites.md)."
            ),
        )
        + "\n"
    )


def _still(runs: Runs, horizon: str, shown: Sequence[str]) -> list[str]:
    """The row of copying the last frame, which has no seeds."""
    label = runs[0]["label"]
    return ["copy the last frame", "0", *spreads(runs[:1], horizon, label, shown, "persistence")]


def _sprites(result: Result) -> str:
    runs = result["runs"]
    (horizon,) = runs[0]["scores"]

    def against(other: str) -> str:
        return standing(runs, horizon, "l1_ssim", other, ON_SPRITES)

    return page(
        "## [Moving sprites](results/moving_sprites.md): the picture in the README\n",
        paragraph(
            f"{DEFAULT} is {against('plain')}; {against(WIDE)}; {against('model, mean Y')}. The "
            "[README](../README.md) shows the picture and the table."
        ),
    )


def _kth(runs: Runs, of_adapters: Runs) -> str:
    shown, horizon = ("mse", "ssim", "sharpness", "st_lpips_alex"), "10 -> 10"
    own = by_label(runs)
    more = [run for run in of_adapters if run["label"] not in own]
    rows = [*_arms(runs, horizon, shown), *_arms(more, horizon, shown)]
    return page(
        "## [KTH, one person](results/kth_person01.md): is it the loss or the representation?\n",
        paragraph(
            "Mostly the loss: with L1 + SSIM every arm is better than with MSE in "
            f"{words(gains_of_the_loss(runs, horizon))}. With L1 + SSIM, {DEFAULT} is "
            f"{standing(runs, horizon, 'l1_ssim', 'plain', SHOWN)}, but "
            f"{standing(runs, horizon, 'l1_ssim', WIDE, SHOWN)}: no evidence that the "
            "representation, rather than its parameters, helps."
        ),
        table(["10 -> 10", "parameters", *shown], [_still(runs, horizon, shown), *rows]),
    )


def _arms(runs: Runs, horizon: str, shown: Sequence[str]) -> list[list[str]]:
    """A row for each arm: its parameters, and mean and span of its figures."""
    return [
        [label, f"{seeds[0]['parameters']:,}", *spreads(runs, horizon, label, shown)]
        for label, seeds in by_label(runs).items()
    ]


def _adapters(result: Result) -> str:
    runs, shown, horizon = result["era5"], ("mse", "ssim_range1", "sharpness"), "12 -> 12"
    rows = [_still(runs, horizon, shown), *_arms(runs, horizon, shown)]
    return page(
        "## [Adapters](results/adapters.md): which one is the default?\n",
        paragraph(
            f"`{recipes.DEFAULT_ADAPTER}`: ahead of plain or level with it on most figures of KTH "
            "(above) and ERA5 (below), with the fewest parameters. It is not the best everywhere: "
            "on KTH `robust` has the lower mse."
        ),
        table(["ERA5, 12 -> 12", "parameters", *shown], rows),
    )


def _flow_and_weather(result: Result) -> str:
    shown = {"bikenyc": ("rmse", "sharpness"), "era5": ("rmse", "ssim_range1", "spectral_energy")}
    horizons = {name: next(iter(result[name][0]["scores"])) for name in shown}
    labels = list(by_label(result["era5"]))

    def cells(label: str, control: str = "model", runs: slice = slice(None)) -> list[str]:
        return [
            cell
            for name, metrics in shown.items()
            for cell in spreads(result[name][runs], horizons[name], label, metrics, control)
        ]

    def against(study: str, loss: str, other: str) -> str:
        return standing(result[study], horizons[study], loss, other, ON_FLOW)

    passed = passed_persistence(result["bikenyc"], "l1_ssim")
    rows = [
        ["copy the last frame", *cells(labels[0], "persistence", slice(1))],
        *([label, *cells(label)] for label in labels),
    ]
    return page(
        "## [Bike flow and temperature](results/flow_and_weather.md): the same question\n",
        bullets(
            f"BikeNYC, TAU's own loss: {DEFAULT} is {against('bikenyc', 'mse_ddr', 'plain')}. "
            "L1 + SSIM fails at this length. The number of seeds, of "
            f"{len(result['seeds'])}, with a lower rmse than copying the last frame: "
            f"{'; '.join(f'{arm} {count}' for arm, count in passed.items())}.",
            f"ERA5, L1 + SSIM: {DEFAULT} is {against('era5', 'l1_ssim', 'plain')}; "
            f"{against('era5', 'l1_ssim', WIDE)}.",
        ),
        table(
            ["", *(f"{name} {metric}" for name, metrics in shown.items() for metric in metrics)],
            rows,
        ),
        "![RMSE over the horizon](results/figures/flow_and_weather.png)\n",
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
        f"## [{count} backbones](results/backbones_era5.md): does PDR help behind each?\n",
        paragraph(
            f"On ERA5, one seed, the number of the {count} backbones behind which PDR is ahead: "
            f"{counted}. Cells are the mean over the backbones and their span."
        ),
        table(["", *shown], rows),
        "![change of each figure by backbone](results/figures/backbones_era5.png)\n",
    )
