"""Figures of several runs: row labels, whether they compare, their description, their files."""

import collections
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pdr_jax.evaluation.figures import Measured
from pdr_jax.files import write_json
from pdr_jax.recipes import Recipe
from pdr_jax.runs.checkpoints import versions
from pdr_jax.runs.folder import Recorded, read_data, read_recipe, recorded_units
from pdr_jax.runs.lineage import protocol_note
from pdr_jax.task import Task

_BASELINES = ("persistence", "extrapolation")  # rows that stand beside the runs'


def row_labels(runs: Sequence[Path]) -> dict[Path, str]:
    """A label for each run: the last parts of its path, as few as distinguish the runs.

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
        if len({*_BASELINES, *labels.values()}) == len(runs) + len(_BASELINES):
            break
    return labels


def check_comparable(recipes: Mapping[Path, Recipe], split: str) -> None:
    """Refuses runs whose figures cannot stand side by side, before any is scored.

    Args:
      recipes: the recipe that each run is evaluated with.
      split: "test" or "holdout".

    Raises:
      ValueError: data, lengths or protocols differ, or a run has no such split.
    """
    recorded = {run: recorded_units(run) for run in recipes}
    told = all(recorded.values())
    (first_run, first), *others = (
        (run, _compared(recipe, recorded[run] if told else None)) for run, recipe in recipes.items()
    )
    for run, other in others:
        for field in dict.fromkeys([*first, *other]):
            here, there = other.get(field), first.get(field)
            if here != there:
                raise ValueError(
                    f"{field}={here!r} in {run}, {there!r} in {first_run}: such figures do not "
                    "compare. Set it for all runs, or evaluate them one by one"
                )
    for run, recipe in recipes.items():
        if split == "holdout" and recipe.protocol == "openstl":
            raise ValueError(
                f"split='holdout': {run} has none under protocol openstl, which trains on all "
                "clips and chooses the checkpoint on the test split"
            )


def _compared(recipe: Recipe, recorded: Recorded | None) -> dict[str, Any]:
    """What decides whether figures compare, without options that are left to their loader."""
    fields = ("dataset", "protocol", "in_length", "out_length")
    options = dict(recipe.data_options)
    # However it was chosen, the scaling of an array is the one that the run was trained in.
    if "scaling" in options and recorded:
        units = recorded.units
        options["scaling"] = [np.asarray(part).tolist() for part in (units.offset, units.scale)]
    told = {f"data_options.{name}": value for name, value in options.items() if value != ""}
    return {**{field: getattr(recipe, field) for field in fields}, **told}


def check_writable(runs: Iterable[Path]) -> None:
    """Refuses, before any is scored, a run folder that cannot take its figures.

    Raises:
      PermissionError: the folder is not writable.
    """
    for run in runs:
        if not os.access(run, os.W_OK):
            raise PermissionError(
                f"run_folders: {run} is not writable, and its figures go there; copy it first"
            )


def describe(run: Path, task: Task, *, split: str, checkpoint: str) -> dict[str, Any]:
    """What the figures of a run were measured on, and how; JSON types.

    Args:
      run: the run folder.
      task: what was evaluated.
      split: "test" or "holdout".
      checkpoint: "best" or "last".

    Raises:
      FileNotFoundError: data.json, which says what chose the "best" checkpoint, is missing.
    """
    scoring = task.dataset.scoring
    reduction = "averaged over" if scoring.spatial_norm else "summed over"
    return {
        "dataset": f"{task.dataset.name} {task.dataset.config}",
        "data": _data(task.recipe),
        "note": " ".join(filter(None, (task.dataset.note, protocol_note(run, task.recipe)))),
        "split": split,
        "horizon": task.clip.horizon,
        "protocol": task.recipe.protocol,
        "checkpoint": _chosen(run) if checkpoint == "best" else "last checkpoint",
        "errors": f"in {scoring.units} units, {reduction} a frame",
        "versions": versions(),
    }


def title(described: Mapping[str, Mapping[str, Any]]) -> str:
    """The title of a table of runs; `described` maps labels to what `describe` returned."""
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
    """Writes figures into a run's folder.

    Figures of an earlier evaluation are kept beside them if its description was the same.

    Args:
      run: the run folder.
      described: what `describe` returned.
      rows: what was measured, by label.

    Returns:
      RUN/eval-SPLIT-PROTOCOL-HORIZON.json; for other data than the run's, a code follows.
    """
    parts = ["eval", described["split"], described["protocol"], str(described["horizon"])]
    if described["data"] != _data(read_recipe(run)):
        text = json.dumps(described["data"], sort_keys=True)
        parts.append(hashlib.sha256(text.encode()).hexdigest()[:6])
    path = run / f"{'-'.join(parts)}.json"
    write_json(path, {**described, **_merged(path, described, summary(rows))})
    return path


def _data(recipe: Recipe) -> dict[str, Any]:
    """The data set and its options, as JSON keeps them."""
    return json.loads(json.dumps({"name": recipe.dataset, **recipe.data_options}, default=str))


def summary(rows: Mapping[str, Measured]) -> dict[str, Any]:
    """Figures of each row, over all frames and for each step of the horizon, and its details.

    JSON types.
    """
    return {
        "rows": {name: row.figures for name, row in rows.items()},
        "per_frame": {
            name: {metric: values.tolist() for metric, values in row.per_frame.items()}
            for name, row in rows.items()
        },
        "details": {name: row.details for name, row in rows.items() if row.details},
    }


def by_threshold(rows: Mapping[str, Measured]) -> dict[str, dict[str, dict[str, float]]]:
    """Scores of events by threshold, then by row; {} without thresholds."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name, row in rows.items():
        for threshold, figures in row.details.get("events", {}).items():
            found.setdefault(threshold, {})[name] = figures
    return found


def _merged(path: Path, described: Mapping[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    if not path.exists():
        return new
    before = json.loads(path.read_text())
    if any(before.get(key) != value for key, value in described.items()):
        return new
    return {
        part: {
            name: {**before.get(part, {}).get(name, {}), **new[part].get(name, {})}
            for name in {**before.get(part, {}), **new[part]}
        }
        for part in new
    }


def _chosen(run: Path) -> str:
    data = read_data(run)
    if not data:
        raise FileNotFoundError(
            f"{run / 'data.json'} is missing; it says what chose the best checkpoint. Evaluate the "
            "last one instead (checkpoint='last')"
        )
    return f"best by {data['chosen_on']}"
