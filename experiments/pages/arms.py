"""Runs of `experiments.study`: their figures by arm, and which arm is ahead of which."""

from collections.abc import Sequence
from typing import Any

from experiments.pages.markdown import spread, words
from pdr_jax import metrics

Runs = Sequence[dict[str, Any]]

TIMES = "Training times were taken on a machine that did other work as well.\n"

CONTROLS = ("persistence", "coarse", "mean Y", "shuffled Y")
"""Rows that are scored with an arm; all but persistence are the arm itself, changed."""

IN_WORDS = {
    "persistence": "copying the last frame",
    "extrapolation": "extrapolation by optical flow",
    "pysteps": "pysteps' extrapolation",
    "mean Y": "itself with the mean of Y",
    "plain, as large as tracked": "plain with as many parameters",
    "plain, as long as tracked": "plain with as much time",
    "tracked, pixels warped": "the same with pixels that are warped",
    "tracked, pixels splatted": "the same with pixels that are splatted",
    "tracked, not moved": "the last frame and the gate alone",
}


def by_label(runs: Runs) -> dict[str, list[dict[str, Any]]]:
    """The runs of each arm, in the order in which arms appear."""
    arms: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        arms.setdefault(run["label"], []).append(run)
    return arms


def spreads(
    runs: Runs, horizon: str, label: str, shown: Sequence[str], control: str = ""
) -> list[str]:
    """Mean and span over the seeds of an arm, a cell for each metric.

    Args:
      runs: of `experiments.study`.
      horizon: a key of their scores.
      label: the arm's.
      shown: the metrics; a control that was not scored by one has an empty cell.
      control: one of `CONTROLS`; "" is the arm itself.
    """
    rows = [_row(run["scores"][horizon], control) for run in by_label(runs)[label]]
    return [spread([row[name] for row in rows]) if name in rows[0] else "" for name in shown]


def ahead(runs: Runs, horizon: str, label: str, other: str, metric: str) -> int:
    """The number of seeds with which one arm's figure is better than another's.

    Args:
      runs: of `experiments.study`.
      horizon: a key of their scores.
      label: the arm's.
      other: another arm's label, or one of `CONTROLS` that was scored with the arm.
      metric: the figure; a ratio to the truth's, such as sharpness, is better the nearer it is
        to 1.
    """
    mine, theirs = (
        {run["seed"]: run["scores"][horizon] for run in runs if run["label"] == name}
        for name in (label, other)
    )
    control = other if other in CONTROLS else ""
    return sum(
        better(metric, _row(scores, "")[metric], _row((theirs or mine)[seed], control)[metric])
        for seed, scores in mine.items()
    )


def _row(scores: dict[str, dict[str, float]], control: str) -> dict[str, float]:
    if control == "persistence":
        return scores[control]
    return scores[f"model, {control}" if control else "model"]


def better(metric: str, figure: float, other: float) -> bool:
    """Whether a figure is better than another; of ratios, the one nearer to 1."""
    rank = {"lower": lambda x: -x, "higher": lambda x: x, "one": lambda x: -abs(x - 1)}
    value = rank[metrics.BETTER[metric]]
    return value(figure) > value(other)


def standing(runs: Runs, horizon: str, label: str, other: str, shown: Sequence[str]) -> str:
    """In which figures an arm is ahead of another with every seed, and in which with none.

    Args:
      runs: of `experiments.study`.
      horizon: a key of their scores.
      label: the arm's.
      other: another arm, or one of `CONTROLS`.
      shown: the metrics.

    Returns:
      Such as "ahead of plain in mse, and behind in sharpness".
    """
    seeds = len(by_label(runs)[label])
    found = {metric: ahead(runs, horizon, label, other, metric) for metric in shown}
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
