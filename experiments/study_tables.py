"""The sections of experiments/README.md on studies with controls and seeds."""

from collections.abc import Iterable, Sequence
from typing import Any

from experiments.markdown import origin, table
from pdr_jax import metrics, predgs, recipes

Runs = list[dict[str, Any]]
SHOWN = ("mse", "mae", "psnr", "ssim", "ssim_range1", "sharpness", "st_lpips_alex")
ON_FLOW = ("rmse", "mae", "psnr", "ssim_range1", "sharpness", "spectral_energy", "diversity")
DEFAULT = f"PDR {recipes.DEFAULT_ADAPTER}"
CONTROLS = ("plain", "plain + affine", "plain, as large as PDR", "persistence", "model, mean Y")
NAMES = {"persistence": "copying the last frame", "model, mean Y": "itself with the mean of Y"}


def comparison(runs: Runs, horizon: str, shown: Sequence[str]) -> str:
    """Runs of `experiments.study` on one horizon: a row an arm and a control, a figure a seed."""
    arms = {run["label"]: [r for r in runs if r["label"] == run["label"]] for run in runs}
    first = runs[0]["scores"][horizon]
    rows = [["copy the last frame", "0", "", *cells([first["persistence"]], shown)]]
    for label, seeds in arms.items():
        parameters = f"{seeds[0]['parameters']:,}"
        minutes = " / ".join(f"{run['train_seconds'] / 60:.1f}" for run in seeds)
        for control in seeds[0]["scores"][horizon]:
            if control == "persistence":
                continue
            scores = [run["scores"][horizon][control] for run in seeds]
            head = (
                [f"**{label}**", parameters, minutes]
                if control == "model"
                else ["&nbsp;&nbsp;" + control.removeprefix("model, "), "", ""]
            )
            rows.append([*head, *cells(scores, shown)])
    return table(["", "parameters", "training, minutes", *shown], rows)


def cells(scores: Sequence[dict[str, float]], shown: Sequence[str]) -> list[str]:
    """Figures to four significant digits."""
    return [" / ".join(f"{score[name]:#.4g}" for score in scores) for name in shown]


def ahead(runs: Runs, horizon: str, label: str, other: str, metric: str) -> int:
    """With how many seeds a figure of an arm is better than another's.

    Args:
      runs: of `experiments.study`.
      horizon: a key of their scores.
      label: the arm's.
      other: another arm's label, or a control that was scored with the arm ("persistence", ...).
      metric: the figure; of ratios to the truth's, such as sharpness, the nearer to 1 is better.
    """
    mine, theirs = (
        {run["seed"]: run["scores"][horizon] for run in runs if run["label"] == name}
        for name in (label, other)
    )
    row, theirs = ("model", theirs) if theirs else (other, mine)
    sign = {"lower": lambda x: -x, "higher": lambda x: x, "one": lambda x: -abs(x - 1)}
    rank = sign[metrics.BETTER[metric]]
    return sum(
        rank(scores["model"][metric]) > rank(theirs[seed][row][metric])
        for seed, scores in mine.items()
    )


def counts(runs: Runs, horizon: str, shown: Sequence[str], pairs: Iterable[tuple[str, str]]) -> str:
    """Pairs of an arm and another, with how many seeds the first is ahead in each figure."""
    rows = [
        [
            f"{label}, over {NAMES.get(other, other)}",
            *(str(ahead(runs, horizon, label, other, metric)) for metric in shown),
        ]
        for label, other in pairs
    ]
    seeds = len({run["seed"] for run in runs})
    return f"In how many of {seeds} seeds ahead:\n\n" + table(["", *shown], rows)


def over_controls(losses: Sequence[str]) -> list[tuple[str, str]]:
    """PDR with the default adapter and what it is held against, under each loss."""
    return [
        (f"{DEFAULT}, {loss}", f"{other}, {loss}" if other.startswith("plain") else other)
        for loss in losses
        for other in CONTROLS
    ]


def adapters(result: dict[str, Any]) -> str:
    """Which preset is the default."""
    pairs = [
        (f"PDR {preset}, l1_ssim", other)
        for preset in predgs.PRESETS
        for other in ("plain, l1_ssim", "model, mean Y")
    ]
    on_era5 = ("mse", "mae", "psnr", "ssim_range1", "sharpness")
    return "\n".join(
        [
            "## Which adapter is the default\n",
            "Real KTH frames (one person, see above) and ERA5 temperature over Britain, plain TAU "
            "and PDR with each preset, L1 + SSIM. "
            f"The default is `{recipes.DEFAULT_ADAPTER}`. {result['kth'][0]['steps']} steps each; "
            f"seeds {', '.join(map(str, result['seeds']))}.\n",
            origin(result),
            ADAPTERS_READING,
            "KTH 64x64, 10 -> 10:\n",
            comparison(result["kth"], "10 -> 10", SHOWN),
            counts(result["kth"], "10 -> 10", SHOWN, pairs),
            "ERA5 32x48, 12 -> 12:\n",
            comparison(result["era5"], "12 -> 12", on_era5),
            counts(result["era5"], "12 -> 12", on_era5, pairs),
        ]
    )


ADAPTERS_READING = """\
(`--era5` is called `--era5-path` since.) The default was chosen for being ahead of plain, or level
with it, on most figures of both data sets, with the fewest parameters, while its coarse frames
remain frames. That is `conv`. It is not the best everywhere: on KTH `robust` has the lower mse and
mae but the worse st_lpips_alex, and it falls behind plain on ERA5. Where a preset is not ahead of
itself with the mean of Y, its renderer is of no use to that figure.
"""


def kth(result: dict[str, Any]) -> str:
    """The 2 x 2 with its controls."""
    runs, pairs = result["runs"], over_controls(("mse", "l1_ssim"))
    return "\n".join(
        [
            "## KTH, one person: loss and representation apart\n",
            f"{result['data']}. {runs[0]['steps']} steps each, trained 10 -> 10.\n",
            origin(result),
            KTH_READING.format(gains=", ".join(gains_of_the_loss(runs, "10 -> 10"))),
            "10 -> 10:\n",
            comparison(runs, "10 -> 10", SHOWN),
            counts(runs, "10 -> 10", SHOWN, pairs),
            "10 -> 20, by roll-out:\n",
            comparison(runs, "10 -> 20", SHOWN),
            counts(runs, "10 -> 20", SHOWN, pairs),
        ]
    )


def gains_of_the_loss(runs: Runs, horizon: str) -> list[str]:
    """The figures in which L1 + SSIM is ahead of MSE for every arm with every seed."""
    arms = {run["label"].rpartition(", ")[0] for run in runs}
    seeds = len({run["seed"] for run in runs})
    return [
        metric
        for metric in SHOWN
        if all(
            ahead(runs, horizon, f"{arm}, l1_ssim", f"{arm}, mse", metric) == seeds for arm in arms
        )
    ]


KTH_READING = """\
How to read it: few steps on few windows are a trial, not a benchmark. Most of the gain comes from
the loss: at 10 -> 10 every arm is better with L1 + SSIM than with MSE, with every seed, in
{gains}.
Under L1 + SSIM the paper's preset ends far behind with one seed, and with another its figures do
not change when Y is replaced by its mean: the renderer is ignored. PDR with `conv` is a little
ahead of the same backbone without it, and most of its figures suffer when Y is replaced. But the
plain predictor widened to a little more than PDR's parameters is ahead of PDR: this table does not
show that the representation, rather than its parameters, helps.
Under MSE, at 10 -> 10, a learned affine output and the wider predictor are both ahead of PDR in
errors and SSIM, and behind it in sharpness and st_lpips_alex; at 10 -> 20 the seeds differ.
Copying the last frame is ahead of every arm at 10 -> 10 in sharpness and st_lpips_alex, and of
every arm with MSE in ssim_range1. Training times were taken on a machine that did other work as
well.
"""

FLOW_READING = """\
How to read it: these are short trainings, so trials, not benchmarks.
BikeNYC: with TAU's own loss PDR is ahead of plain in sharpness, spectral energy and diversity, and
behind it in mae. Its renderer is used: every figure suffers when Y is replaced by its mean. A
learned affine output is ahead of both in rmse and mae, more parameters are not. L1 + SSIM fails
here: of {seeds} seeds, so many get ahead of copying the last frame in rmse:
{passed}.
(Most cells of these frames are empty most of the time; whether that is why was not tested.)
ERA5: every arm is ahead of copying the last frame in rmse and mae. PDR is a little behind plain in
rmse with every seed and under either loss, by less than the seeds differ. L1 + SSIM makes all arms
sharper. Under it PDR has the highest SSIM and keeps more fine spectral energy than plain and than
either control, with every seed: that is neither the loss nor the parameters.
Training times were taken on a machine that did other work as well.
"""


def flow_and_weather(result: dict[str, Any]) -> str:
    """The 2 x 2 with its controls, on flow and on temperature."""
    pairs = over_controls(("mse_ddr", "l1_ssim"))
    parts = []
    for name, title in (
        ("bikenyc", "BikeNYC 16x8, 4 -> 4, errors in bikes an hour and cell"),
        ("era5", "ERA5 32x48, 12 -> 12, errors in kelvin"),
    ):
        runs = result[name]
        (horizon,) = runs[0]["scores"]
        note = f" {result['notes'][name]}" if result["notes"][name] else ""
        parts += [
            f"{title}, {runs[0]['steps']} steps each.{note}\n",
            comparison(runs, horizon, ON_FLOW),
            counts(runs, horizon, ON_FLOW, pairs),
        ]
    on_bikes = result["bikenyc"]
    arms = dict.fromkeys(r["label"] for r in on_bikes if r["label"].endswith("l1_ssim"))
    passed = {arm: ahead(on_bikes, "4 -> 4", arm, "persistence", "rmse") for arm in arms}
    reading = FLOW_READING.format(
        seeds=len(result["seeds"]),
        passed="; ".join(f"{arm.rpartition(', ')[0]} {count}" for arm, count in passed.items()),
    )
    return "\n".join(
        [
            "## Bike flow and temperature: loss and representation apart\n",
            "Plain TAU and PDR(TAU), with TAU's own loss (MSE + divergence term) and with L1 + "
            f"SSIM, and the controls; seeds {', '.join(map(str, result['seeds']))}.\n",
            origin(result),
            reading,
            *parts,
            "RMSE over the horizon (mean of the seeds and their span):\n",
            "![RMSE over the horizon](results/figures/flow_and_weather.png)\n",
            "The first test clip with PDR, L1 + SSIM, seed 0 (observed, truth, prediction, coarse, "
            "rendered):\n",
            "![BikeNYC](results/figures/bikenyc_pdr.png)\n",
            "![ERA5](results/figures/era5_pdr.png)\n",
        ]
    )
