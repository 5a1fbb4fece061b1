"""A run folder's files in JSON; the rest is written where it arises.

RUN/recipe.json     the recipe, in full
RUN/data.json       which data that was, what chose the best checkpoint, and where the first
                    parameters came from: `pdr import-openstl`, `--init-from`
RUN/metrics.jsonl   a line every `log_every` steps, and one with the figures at each checkpoint
RUN/checkpoints/    train state, position in the data, versions (Orbax): the last few, the best
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import pdr_datasets
from pdr_jax.recipes import Recipe

_UNITS = ("frame_shape", "offset", "scale", "data_range")


def read_recipe(run: Path) -> Recipe:
    """The recipe of a run folder; raises FileNotFoundError if `run` is none."""
    path = Path(run) / "recipe.json"
    if not path.exists():
        raise FileNotFoundError(f"{run} is no run folder: it has no recipe.json")
    return Recipe.from_json(json.loads(path.read_text()))


def read_data(run: Path) -> dict[str, Any]:
    """The data.json of a run folder; {} if there is none."""
    path = Path(run) / "data.json"
    return json.loads(path.read_text()) if path.exists() else {}


def describe_data(dataset: pdr_datasets.VideoDataset) -> dict[str, Any]:
    """What a run folder says of a data set."""
    return {
        "dataset": dataset.name,
        "config": dataset.config,
        "note": dataset.note,
        **{name: np.asarray(getattr(dataset, name)).tolist() for name in _UNITS},
    }


def stored_range(dataset: pdr_datasets.VideoDataset) -> tuple[float, float]:
    """Between which values the frames lie as they are stored, over all channels."""
    bounds = [np.asarray(bound) * dataset.scale + dataset.offset for bound in dataset.data_range]
    return float(np.min(bounds)), float(np.max(bounds))


def occupied(run: Path, recipe: Recipe) -> str:
    """Why the run of a recipe cannot begin in a run's folder, and what to do."""
    here, there = (json.loads(json.dumps(some.to_json())) for some in (recipe, read_recipe(run)))
    changed = [f"{k}={here[k]!r}, there {there[k]!r}" for k in here if here[k] != there[k]]
    if not changed:
        return f"{run} holds a run already; continue it with --resume {run}"
    return (
        f"{run} holds a run already, and another one ({'; '.join(changed)}): choose another "
        f"folder with --out FOLDER, or continue that one, as it began, with --resume {run}"
    )


def protocol_note(run: Path, recipe: Recipe) -> str:
    """What to know if a run's parameters learnt, on a recipe's data set, under another protocol.

    The runs that it started from count too. "" if there is nothing to know.
    """
    lineage = [(read_recipe(run).protocol, read_data(run))]
    while origin := lineage[-1][1].get("init_from"):
        lineage.append((origin.get("protocol"), origin["data"]))
    learnt_under = {
        "openstl" if "imported" in data else protocol
        for protocol, data in lineage
        if data.get("dataset") == recipe.dataset
    }
    other = "standard" if recipe.protocol == "openstl" else "openstl"
    if other not in learnt_under:
        return ""
    if "protocol" in pdr_datasets.options(recipe.dataset):
        effect = (
            f"{recipe.dataset} has other parts and other frames under each, so that test clips "
            f"may have been trained on: see pdr data info {recipe.dataset}"
        )
    elif other == "openstl":
        effect = "held-out clips were trained on, and the test clips chose the checkpoint"
    else:
        return ""
    return f"Parameters trained under protocol {other!r} meet {recipe.protocol!r}: {effect}."


def recorded_dataset(run: Path) -> pdr_datasets.VideoDataset | None:
    """The data set of a run as its folder describes it, without clips; None if it does not.

    It is enough to predict with, so that this needs no data set to be there.
    """
    found, recipe = read_data(run), read_recipe(run)
    if not found.keys() >= {*_UNITS}:
        return None
    units: dict[str, Any] = {
        name: tuple(value) if isinstance(value := found[name], list) else value for name in _UNITS
    }
    return pdr_datasets.VideoDataset(
        name=found["dataset"],
        config=found["config"],
        splits={},
        in_length=recipe.in_length,
        out_length=recipe.out_length,
        note=found["note"],
        **units,
    )


def write_json(path: Path, content: Any) -> None:
    """Writes a JSON file, whole or not at all; numbers that are not finite become null."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(_finite(content), indent=2, allow_nan=False) + "\n")
    partial.replace(path)


def _finite(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
