"""Runs of `experiments.study` as tables: an arm is a row, and its controls stand below it."""

from collections.abc import Iterable, Sequence
from typing import Any

from experiments.pages.markdown import figure, spread, table, words
from pdr_jax import metrics, recipes

Runs = Sequence[dict[str, Any]]

TIMES = "Training times were taken on a machine that did other work as well.\n"

DEFAULT = f"PDR {recipes.DEFAULT_ADAPTER}"
WIDE = "plain, as large as PDR"
CONTROLS = ("plain", "plain + affine", WIDE, "persistence", "model, mean Y")
NAMES = {"persistence": "copying the last frame", "model, mean Y": "itself with the mean of Y"}
IN_WORDS = {"plain + affine": "a learned affine output", WIDE: "a wider plain predictor", **NAMES}


def comparison(runs: Runs, horizon: str, shown: Sequence[str]) -> str:
    """Every arm and control with one figure for each seed.

    Args:
      runs: of `experiments.study`.
      horizon: a key of their scores.
      shown: the metrics.
    """
    first = runs[0]["scores"][horizon]
    rows = [["copy the last frame", "0", "", *_cells([first["persistence"]], shown)]]
    for label, seeds in by_label(runs).items():
        minutes = " / ".join(f"{run['train_seconds'] / 60:.1f}" for run in seeds)
        for control in seeds[0]["scores"][horizon]:
            if control == "persistence":
                continue
            scores = [run["scores"][horizon][control] for run in seeds]
            head = (
                [f"**{label}**", f"{seeds[0]['parameters']:,}", minutes]
                if control == "model"
                else ["&nbsp;&nbsp;" + control.removeprefix("model, "), "", ""]
            )
            rows.append([*head, *_cells(scores, shown)])
    return table(["", "parameters", "training, minutes", *shown], rows)


def by_label(runs: Runs) -> dict[str, list[dict[str, Any]]]:
    """The runs of each arm, in the order in which arms appear."""
    arms: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        arms.setdefault(run["label"], []).append(run)
    return arms


def _cells(scores: Sequence[dict[str, float]], shown: Sequence[str]) -> list[str]:
    return [" / ".join(figure(score[name]) for score in scores) for name in shown]


def spreads(
    runs: Runs, horizon: str, label: str, shown: Sequence[str], control: str = "model"
) -> list[str]:
    """Mean and span over the seeds of an arm, a cell for each metric.

    Args:
      runs: of `experiments.study`.
      horizon: a key of their scores.
      label: the arm's.
      shown: the metrics.
      control: a row that was scored with the arm: "model", "persistence", ...
    """
    scores = [run["scores"][horizon][control] for run in by_label(runs)[label]]
    return [spread([score[name] for score in scores]) for name in shown]


def ahead(runs: Runs, horizon: str, label: str, other: str, metric: str) -> int:
    """The number of seeds with which one arm's figure is better than another's.

    Args:
      runs: of `experiments.study`.
      horizon: a key of their scores.
      label: the arm's.
      other: another arm's label, or a control that was scored with the arm ("persistence", ...).
      metric: the figure; a ratio to the truth's, such as sharpness, is better the nearer it is
        to 1.
    """
    mine, theirs = (
        {run["seed"]: run["scores"][horizon] for run in runs if run["label"] == name}
        for name in (label, other)
    )
    row, theirs = ("model", theirs) if theirs else (other, mine)
    return sum(
        better(metric, scores["model"][metric], theirs[seed][row][metric])
        for seed, scores in mine.items()
    )


def better(metric: str, figure: float, other: float) -> bool:
    """Whether a figure is better than another; of ratios, the one nearer to 1."""
    rank = {"lower": lambda x: -x, "higher": lambda x: x, "one": lambda x: -abs(x - 1)}
    value = rank[metrics.BETTER[metric]]
    return value(figure) > value(other)


def counts(runs: Runs, horizon: str, shown: Sequence[str], pairs: Iterable[tuple[str, str]]) -> str:
    """Pairs of an arm and another: with how many seeds the first is ahead in each figure."""
    rows = [
        [
            f"{label}, over {NAMES.get(other, other)}",
            *(str(ahead(runs, horizon, label, other, metric)) for metric in shown),
        ]
        for label, other in pairs
    ]
    seeds = len({run["seed"] for run in runs})
    return f"With how many of {seeds} seeds ahead:\n\n" + table(["", *shown], rows)


def over_controls(losses: Sequence[str]) -> list[tuple[str, str]]:
    """PDR with the default adapter and each arm or control it is compared with, for each loss."""
    return [
        (f"{DEFAULT}, {loss}", f"{other}, {loss}" if other.startswith("plain") else other)
        for loss in losses
        for other in CONTROLS
    ]


def standing(runs: Runs, horizon: str, loss: str, other: str, shown: Sequence[str]) -> str:
    """In which figures PDR with the default adapter is ahead of another arm with every seed.

    And in which with none, which is called behind.

    Args:
      runs: of `experiments.study`.
      horizon: a key of their scores.
      loss: of both arms.
      other: one of `CONTROLS`.
      shown: the metrics.
    """
    seeds = len({run["seed"] for run in runs})
    arm = f"{other}, {loss}" if other.startswith("plain") else other
    found = {metric: ahead(runs, horizon, f"{DEFAULT}, {loss}", arm, metric) for metric in shown}
    every = [metric for metric, count in found.items() if count == seeds]
    none = [metric for metric, count in found.items() if count == 0]
    name = IN_WORDS.get(other, other)
    if len(every) == len(shown):
        return f"ahead of {name} in every figure"
    if not every and not none:
        return f"in no figure ahead of {name} with every seed, and in none behind"
    if not none:
        return f"ahead of {name} in {words(every)}"
    if not every:
        return f"behind {name} in {words(none)}"
    return f"ahead of {name} in {words(every)}, and behind in {words(none)}"
