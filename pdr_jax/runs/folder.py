"""The files of a run folder.

RUN/recipe.json     the recipe, in full
RUN/data.json       the data set, what chose the best checkpoint, and the origin of parameters that
                    were imported or copied from another run
RUN/metrics.jsonl   a line every `log_every` steps, and a line with the figures of each checkpoint
RUN/checkpoints/    the last few and the best (Orbax): train state, position in the data, versions
RUN/set_aside/      checkpoints that a resumed run did not go on from, such as damaged ones
RUN/tensorboard/    events, with `--log tensorboard`
RUN/wandb/          what Weights & Biases keeps here, with `--log wandb`
RUN/wandb_id.txt    the run's id there; a copied folder continues the same run
RUN/profile/        traces, with `--profile`
RUN/metrics.json    the figures of the best checkpoint, when the run has ended
RUN/report.html     the same figures and some clips, for the browser
RUN/.lock           held by the process that trains
"""

import json
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import pdr_datasets
from pdr_jax.files import check_local, read_json
from pdr_jax.recipes import Recipe
from pdr_jax.runs.saved import Saved
from pdr_jax.runs.settings import flat
from pdr_jax.task import Task

_DATASET = ("frame_shape", "offset", "scale", "data_range")


def read_recipe(run: Path | str) -> Recipe:
    """The recipe of a run folder.

    Raises:
      FileNotFoundError: `run` is no run folder.
      ValueError: recipe.json is damaged, or a field is missing, unknown or out of range; or `run`
        is an address.
    """
    check_local(run)
    path = Path(run) / "recipe.json"
    if not path.exists():
        raise FileNotFoundError(f"{run} is no run folder: it has no recipe.json")
    fields = read_json(path)
    try:
        return Recipe.from_json(fields)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path} is no recipe: {error}") from error


def read_data(run: Path | str) -> dict[str, Any]:
    """The data.json of a run folder; {} if there is none.

    Raises:
      ValueError: the file is damaged.
    """
    path = Path(run) / "data.json"
    return read_json(path) if path.exists() else {}


def describe_dataset(dataset: pdr_datasets.VideoDataset) -> dict[str, Any]:
    """What data.json says of a data set."""
    return {
        "dataset": dataset.name,
        "config": dataset.config,
        "note": dataset.note,
        "reading": dataset.reading,
        "frame_shape": list(dataset.frame_shape),
        "offset": np.asarray(dataset.units.offset).tolist(),
        "scale": np.asarray(dataset.units.scale).tolist(),
        "data_range": np.asarray(dataset.data_range).tolist(),
        **(
            {} if dataset.fill is None else {"fill": dataset.fill, "missing": dataset.units.missing}
        ),
    }


def describe_training(task: Task) -> dict[str, Any]:
    """What data.json says of a run that was trained here."""
    return {
        "training_clips": len(task.train),
        "digest": _digest(task.train),
        "chosen_on": task.chosen_on,
        **describe_dataset(task.dataset),
    }


class Recorded(NamedTuple):
    """Units and range of a run's data, as data.json has them."""

    units: pdr_datasets.Units
    data_range: tuple[float, float]


def recorded_units(run: Path | str, found: dict[str, Any] | None = None) -> Recorded | None:
    """The units in which a run was trained.

    Args:
      run: the run folder.
      found: the content of its data.json, if it has been read.

    Returns:
      None if data.json is missing or does not describe the data set.

    Raises:
      ValueError: an offset, scale or range is not a finite number, or a scale is not positive.
    """
    found = read_data(run) if found is None else found
    return _recorded(found, Path(run) / "data.json")


def _recorded(found: dict[str, Any], path: Path) -> Recorded | None:
    """`recorded_units` of what the file `path` says."""
    if not found.keys() >= {*_DATASET}:
        return None
    offset, scale, data_range = (_numbers(path, found, name) for name in _DATASET[1:])
    if np.min(scale) <= 0:
        raise ValueError(f"scale={found['scale']!r} in {path}: expected more than 0")
    low, high = np.broadcast_to(data_range, 2).tolist()
    return Recorded(pdr_datasets.Units(offset, scale, found.get("missing")), (low, high))


def _numbers(path: Path, found: dict[str, Any], name: str) -> float | tuple[float, ...]:
    value = found[name]
    try:
        finite = np.isfinite(np.asarray(value, np.float64)).all() and np.ndim(value) <= 1
    except (TypeError, ValueError):
        finite = False
    if not finite or value in (None, []):
        raise ValueError(
            f"{name}={value!r} in {path}: expected the number, or one for each channel, that the "
            "run was trained with"
        )
    return tuple(map(float, value)) if isinstance(value, list) else float(value)


def recorded_dataset(run: Path) -> pdr_datasets.VideoDataset | None:
    """The data set of a run as data.json describes it, without clips.

    Prediction on new frames needs no more, so the data set need not be prepared.

    Returns:
      None if data.json is missing or does not describe the data set.

    Raises:
      ValueError: as `recorded_units`.
    """
    return described_dataset(read_data(run), read_recipe(run), Path(run) / "data.json")


def described_dataset(
    found: dict[str, Any], recipe: Recipe, path: Path
) -> pdr_datasets.VideoDataset | None:
    """`recorded_dataset` of what `describe_dataset` returned and the file `path` says."""
    recorded = _recorded(found, path)
    if recorded is None:
        return None
    return pdr_datasets.VideoDataset(
        name=found["dataset"],
        config=found["config"],
        splits={},
        in_length=recipe.in_length,
        out_length=recipe.out_length,
        frame_shape=tuple(found["frame_shape"]),
        units=recorded.units,
        data_range=recorded.data_range,
        fill=found.get("fill"),
        note=found["note"],
        reading=found.get("reading", ""),  # runs of version 0.2 did not keep it
    )


def _digest(clips: pdr_datasets.Source) -> int:
    """CRC-32 of the first, the middle and the last clip, by which replaced data are noticed."""
    chosen = sorted({0, len(clips) // 2, len(clips) - 1}) if len(clips) else []
    found = 0
    for index in chosen:
        found = zlib.crc32(np.ascontiguousarray(clips[index]["frames"]).data, found)
    return found


def is_imported(run: Path) -> bool:
    """Whether a run folder holds imported weights that have not been trained on here."""
    return Saved(run / "checkpoints").last == 0


def check_vacant(run: Path, recipe: Recipe) -> None:
    """Refuses a folder in which a new run of the recipe would overwrite a run.

    Raises:
      FileExistsError: the folder holds a run; the message names the fields in which it differs.
    """
    if not _holds_run(run, recipe):
        return
    here, there = flat(recipe.to_json()), flat(read_recipe(run).to_json())
    changed = [
        f"{name}={here.get(name)!r}, there {there.get(name)!r}"
        for name in sorted(here.keys() | there.keys())
        if here.get(name) != there.get(name)
    ]
    if not changed:
        raise FileExistsError(f"{run} holds this run already; resume it")
    raise FileExistsError(
        f"{run} holds another run already ({'; '.join(changed)}): choose another folder (out), or "
        "resume that run with its own settings"
    )


def _holds_run(run: Path, recipe: Recipe) -> bool:
    if Saved(run / "checkpoints").steps:
        return True
    begun, log = run / "recipe.json", run / "metrics.jsonl"
    if not begun.exists():
        return False
    another = read_json(begun) != _as_stored(recipe)
    return another or (log.exists() and log.stat().st_size > 0)


def _as_stored(recipe: Recipe) -> dict[str, Any]:
    """The recipe as it is read from JSON, where tuples have become lists."""
    return json.loads(json.dumps(recipe.to_json()))
