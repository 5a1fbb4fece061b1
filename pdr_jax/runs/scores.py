"""Figures of runs, side by side: what they are of, whether they compare, where they are kept."""

import collections
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pdr_jax.evaluation.measuring import Measured
from pdr_jax.files import write_json
from pdr_jax.recipes import Recipe
from pdr_jax.runs.checkpoints import versions
from pdr_jax.runs.folder import read_data
from pdr_jax.runs.lineage import protocol_note
from pdr_jax.task import Task


def row_labels(runs: Sequence[Path]) -> dict[Path, str]:
    """A name for each run in a table: as few last parts of its path as tell the runs apart.

    Raises:
      ValueError: the same folder is given twice.
    """
    counts = collections.Counter(run.resolve() for run in runs)
    for run in runs:
        if counts[run.resolve()] > 1:
            raise ValueError(f"run_folders: {run} is given twice")
    paths = {run: run.resolve() for run in runs}
    for length in range(1, max(len(path.parts) for path in paths.values()) + 1):
        labels = {run: "/".join(path.parts[-length:]) for run, path in paths.items()}
        if len({"persistence", *labels.values()}) == len(runs) + 1:
            break
    return labels


def check_comparable(recipes: Mapping[Path, Recipe], split: str) -> None:
    """Refuses runs whose figures cannot stand side by side, before any is scored.

    Args:
      recipes: of each run, as it is evaluated.
      split: "test" or "holdout".

    Raises:
      ValueError: they are evaluated on other data or under other protocols, or have no such split.
    """
    (first_run, first), *others = recipes.items()
    for run, other in others:
        for field in ("dataset", "data_options", "protocol", "in_length", "out_length"):
            if getattr(other, field) != getattr(first, field):
                raise ValueError(
                    f"{field}={getattr(other, field)!r} in {run}, {getattr(first, field)!r} in "
                    f"{first_run}: figures that do not compare; expected the same {field} for all "
                    "runs. Evaluate them under one, or one by one"
                )
    for run, recipe in recipes.items():
        if split == "holdout" and recipe.protocol == "openstl":
            raise ValueError(
                f"split='holdout': {run} has none under protocol openstl, which trains on all "
                "clips and chooses the checkpoint on the test split"
            )


def describe(run: Path, task: Task, *, split: str, checkpoint: str) -> dict[str, Any]:
    """What the figures of a run are of, as JSON.

    Raises:
      FileNotFoundError: the checkpoint is the "best", and nothing says what chose it.
    """
    scoring = task.dataset.scoring
    reduction = "averaged over" if scoring.spatial_norm else "summed over"
    return {
        "dataset": f"{task.dataset.name} {task.dataset.config}",
        "note": " ".join(filter(None, (task.dataset.note, protocol_note(run, task.recipe)))),
        "split": split,
        "horizon": task.clip.horizon,
        "protocol": task.recipe.protocol,
        "checkpoint": _chosen(run) if checkpoint == "best" else "last checkpoint",
        "errors": f"in {scoring.units} units, {reduction} a frame",
        "versions": versions(),
    }


def title(described: Mapping[str, Mapping[str, Any]]) -> str:
    """The title of a table of runs; `described` has what `describe` says of each, by label."""
    first = next(iter(described.values()))
    chosen = {label: each["checkpoint"] for label, each in described.items()}
    checkpoint = first["checkpoint"]
    if len(set(chosen.values())) > 1:
        checkpoint = "; ".join(f"{label}: {choice}" for label, choice in chosen.items())
    return (
        f"{first['dataset']}, {first['split']} split, {first['horizon']} frames, "
        f"protocol {first['protocol']}, {checkpoint}; errors {first['errors']}"
    )


def write(run: Path, described: Mapping[str, Any], rows: Mapping[str, Measured]) -> Path:
    """Writes figures into a run's folder, beside those of earlier evaluations of the same.

    Returns:
      RUN/eval-SPLIT-PROTOCOL-HORIZON.json.
    """
    name = f"eval-{described['split']}-{described['protocol']}-{described['horizon']}.json"
    path = run / name
    write_json(path, {**described, **_merged(path, described, summary(rows))})
    return path


def summary(rows: Mapping[str, Measured]) -> dict[str, Any]:
    """Figures, and their course over the horizon, as JSON."""
    return {
        "rows": {name: row.figures for name, row in rows.items()},
        "per_frame": {
            name: {metric: values.tolist() for metric, values in row.per_frame.items()}
            for name, row in rows.items()
        },
    }


def _merged(path: Path, described: Mapping[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    if not path.exists():
        return new
    before = json.loads(path.read_text())
    if any(before.get(key) != value for key, value in described.items()):
        return new
    return {
        part: {
            name: {**before[part].get(name, {}), **new[part].get(name, {})}
            for name in {**before[part], **new[part]}
        }
        for part in new
    }


def _chosen(run: Path) -> str:
    data = read_data(run)
    if not data:
        raise FileNotFoundError(
            f"{run / 'data.json'} is missing, which says what chose the best checkpoint: evaluate "
            "the last (checkpoint='last')"
        )
    return f"best by {data['chosen_on']}"
