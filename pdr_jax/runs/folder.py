"""The files of a run folder.

RUN/recipe.json     the recipe, in full
RUN/data.json       the data set, what chose the best checkpoint, and the origin of parameters that
                    were imported or copied from another run
RUN/metrics.jsonl   a line every `log_every` steps, and a line with the figures of each checkpoint
RUN/checkpoints/    the last few and the best (Orbax): train state, position in the data, versions
RUN/metrics.json    the figures of the best checkpoint, when the run has ended
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

import pdr_datasets
from pdr_jax.recipes import Recipe
from pdr_jax.runs.checkpoints import Checkpoints
from pdr_jax.task import Task

_DATASET = ("frame_shape", "offset", "scale", "data_range")


def read_recipe(run: Path | str) -> Recipe:
    """The recipe of a run folder.

    Raises:
      FileNotFoundError: `run` is no run folder.
    """
    path = Path(run) / "recipe.json"
    if not path.exists():
        raise FileNotFoundError(f"{run} is no run folder: it has no recipe.json")
    return Recipe.from_json(json.loads(path.read_text()))


def read_data(run: Path | str) -> dict[str, Any]:
    """The data.json of a run folder; {} if there is none."""
    path = Path(run) / "data.json"
    return json.loads(path.read_text()) if path.exists() else {}


def describe_dataset(dataset: pdr_datasets.VideoDataset) -> dict[str, Any]:
    """What data.json says of a data set."""
    return {
        "dataset": dataset.name,
        "config": dataset.config,
        "note": dataset.note,
        "frame_shape": list(dataset.frame_shape),
        "offset": np.asarray(dataset.units.offset).tolist(),
        "scale": np.asarray(dataset.units.scale).tolist(),
        "data_range": np.asarray(dataset.data_range).tolist(),
    }


def describe_training(task: Task) -> dict[str, Any]:
    """What data.json says of a run that was trained here."""
    return {
        "training_clips": len(task.train),
        "chosen_on": task.chosen_on,
        **describe_dataset(task.dataset),
    }


def recorded_dataset(run: Path) -> pdr_datasets.VideoDataset | None:
    """The data set of a run as data.json describes it, without clips.

    Prediction on new frames needs no more, so the data set need not be prepared.

    Returns:
      None if data.json is missing or does not describe the data set.
    """
    found, recipe = read_data(run), read_recipe(run)
    if not found.keys() >= {*_DATASET}:
        return None
    shape, offset, scale, data_range = (
        tuple(value) if isinstance(value := found[name], list) else value for name in _DATASET
    )
    return pdr_datasets.VideoDataset(
        name=found["dataset"],
        config=found["config"],
        splits={},
        in_length=recipe.in_length,
        out_length=recipe.out_length,
        frame_shape=shape,
        units=pdr_datasets.Units(offset, scale),
        data_range=data_range,
        note=found["note"],
    )


def is_imported(run: Path) -> bool:
    """Whether a run folder holds imported weights that have not been trained on here."""
    if not Checkpoints.exist(run / "checkpoints"):
        return False
    with Checkpoints(run / "checkpoints") as checkpoints:
        return checkpoints.last == 0


def check_vacant(run: Path, recipe: Recipe) -> None:
    """Refuses a folder in which a new run of the recipe would overwrite a run.

    Raises:
      FileExistsError: the folder holds a run; the message names the fields in which it differs.
    """
    if not _holds_run(run, recipe):
        return
    here, there = _as_stored(recipe), _as_stored(read_recipe(run))
    changed = [f"{k}={here[k]!r}, there {there[k]!r}" for k in here if here[k] != there[k]]
    if not changed:
        raise FileExistsError(f"{run} holds this run already; resume it")
    raise FileExistsError(
        f"{run} holds another run already ({'; '.join(changed)}): choose another folder (out), or "
        "resume that run with its own settings"
    )


def _holds_run(run: Path, recipe: Recipe) -> bool:
    if Checkpoints.exist(run / "checkpoints"):
        return True
    begun, log = run / "recipe.json", run / "metrics.jsonl"
    if not begun.exists():
        return False
    another = json.loads(begun.read_text()) != _as_stored(recipe)
    return another or (log.exists() and log.stat().st_size > 0)


def _as_stored(recipe: Recipe) -> dict[str, Any]:
    """The recipe as it is read from JSON, where tuples have become lists."""
    return json.loads(json.dumps(recipe.to_json()))
