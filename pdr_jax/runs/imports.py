"""Imports a checkpoint of the public PyTorch code as a run folder."""

import dataclasses
import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pdr_datasets import Units, VideoDataset
from pdr_jax import recipes
from pdr_jax.backbones import Backbone
from pdr_jax.benchmarks import BENCHMARKS
from pdr_jax.evaluation.prediction import stored_range
from pdr_jax.interop import clues, entries, identify, state_dicts
from pdr_jax.interop.convert import from_openstl
from pdr_jax.interop.family import Family, family, naming
from pdr_jax.interop.settings import check_settings, check_used, sources
from pdr_jax.recipes import Protocol, Recipe
from pdr_jax.runs.checkpoints import check_path
from pdr_jax.runs.folder import describe_dataset
from pdr_jax.runs.untrained import write_run
from pdr_jax.task import open_dataset

# OpenSTL's dataname -> the name of the data set here.
DATASETS = {
    "taxibj": "taxibj",
    "weather": "weatherbench",
    "weather_t2m_5_625": "weatherbench",
    "kth": "kth",
    "kth20": "kth",
    "kth40": "kth",
    "human": "human36m",
    "mmnist": "moving_mnist",
    "mfmnist": "moving_fmnist",
    "bair": "bair",
    "kitticaltech": "kitticaltech",
}
# Stored units of data sets, for imports before the data set is prepared.
UNITS = {
    "taxibj": Units(-1.0, 2.0),
    "kth": Units(),
    "human36m": Units(),
    "moving_mnist": Units(),
    "moving_fmnist": Units(),
    "bair": Units(),
    "kitticaltech": Units(),
}


class Hints(NamedTuple):
    """What the user knows about a checkpoint; None takes what the checkpoint says.

    Attributes:
      config: a configuration in OpenSTL's terms; its entries override the checkpoint's.
      settings: single entries, which override `config`; unknown names are refused.
      dataset: the data set of the training, a name in `pdr_datasets.names()`.
      data_options: options of the data set's loader that differ from the benchmark's.
      data_dir: where prepared data sets lie; None is the default place.
      in_length: observed frames.
      out_length: frames to predict.
      protocol: which clips the run uses; the weights themselves count as trained and chosen under
        "openstl".
    """

    config: Mapping[str, Any] = {}
    settings: Mapping[str, Any] = {}
    dataset: str | None = None
    data_options: Mapping[str, Any] = {}
    data_dir: Path | None = None
    in_length: int | None = None
    out_length: int | None = None
    protocol: Protocol = "openstl"


def import_run(path: Path, out: Path, hints: Hints) -> dict[str, Any]:
    """Makes a run folder from a checkpoint of OpenSTL or PredFormer; whole, or not at all.

    Args:
      path: the checkpoint, see `pdr_jax.interop.state_dicts.read`.
      out: the run's folder; it must be empty, if it exists.
      hints: what the checkpoint does not say.

    Returns:
      The content of data.json.

    Raises:
      FileExistsError: `out` is not empty, or a file.
      PermissionError: nothing can be written beside `out`.
      FileNotFoundError: `path` does not exist; or the data set is not prepared, and its frames or
        units are not known without it.
      ImportError: PyTorch is needed to read the file, and is not installed.
      ValueError: the file is no checkpoint, its model is unknown, or it contradicts the hints.
    """
    _check_out(out)
    saved = state_dicts.read(path)
    said = {k: v for k, v in {**hints.config, **hints.settings}.items() if v is not None}
    given = saved.config | said
    if not saved.lightning:  # the releases' cells differ in two models; their weights do not
        given = {"release": "v0.3", **given}
    shapes = {key: value.shape for key, value in saved.state_dict.items()}
    name = identify.model(given, shapes)
    kind = family(naming(name))
    check_settings(name, kind, hints.settings, given)
    in_shape = _in_shape(kind, given)
    clips = _clips(hints, given, in_shape[0] if in_shape else clues.length(name, shapes))
    data = _open(clips, in_shape)
    config = identify.completed(name, given, shapes, (clips.in_length, *data.frame_shape))
    module, variables = from_openstl(config, saved.state_dict)
    recipe = _recipe(clips, kind, module)
    values = {"model_type": name, **recipe.backbone_options, "out_length": recipe.out_length}
    values |= dict(zip("THWC", (recipe.in_length, *data.frame_shape), strict=True))
    lengths = {"T": hints.in_length, "out_length": hints.out_length}
    check_used(values, settings=hints.settings, config=hints.config, flags=lengths)
    found = sources(
        values | {"stored units": "{:g}..{:g}".format(*stored_range(data))},
        told=_told(name, shapes, data.frame_shape[-1]),
        given=said | {k: v for k, v in lengths.items() if v},
        saved=saved.config,
        dataset=recipe.dataset,
    )
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    described = {
        "training_clips": 0,
        "chosen_on": f"whoever trained it; imported from {path.name}, not trained here",
        **describe_dataset(data),
        "note": " ".join(filter(None, (data.note, _scaling_note(data, recipe), *saved.remarks))),
        "imported": {
            "file": path.name,
            "sha256": digest,
            "format": saved.format,
            "config": {**naming(name), "in_shape": config["in_shape"], **recipe.backbone_options},
            "sources": found,
        },
    }
    write_run(out, recipe, described, variables)
    return described


def _check_out(out: Path) -> None:
    """Checks, before any work, that a run folder can be made."""
    check_path(out)
    if out.exists() and not out.is_dir():
        raise FileExistsError(f"out={str(out)!r}: a file; choose another name for the folder")
    if out.exists() and any(out.iterdir()):
        raise FileExistsError(f"{out} holds something already: choose another folder")
    parent = next(parent for parent in out.absolute().parents if parent.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise PermissionError(f"out={str(out)!r}: no folder can be made in {parent}")


def _recipe(clips: Recipe, kind: Family, module: Backbone) -> Recipe:
    """The recipe of the run: `clips` with the imported backbone."""
    return recipes.create(
        clips.dataset,
        backbone=kind.backbone,
        adapter="none",
        backbone_options=kind.hyperparameters(module),
        **{field: getattr(clips, field) for field in (*recipes.CLIP_FIELDS, "protocol")},
    )


def _told(name: str, shapes: clues.Shapes, channels: int) -> set[str]:
    """The names of the values that the weights determine."""
    told = {*clues.sizes(name, shapes, channels)}
    if clues.length(name, shapes):
        told.add("T")
    if clues.model_type(shapes):
        told.add("model_type")
    return told


def _scaling_note(data: VideoDataset, recipe: Recipe) -> str:
    """A warning if an array's units come from its own values; the weights may expect others."""
    if data.name != "arrays" or not isinstance(recipe.data_options.get("scaling", ""), str):
        return ""
    if np.array_equal(np.ravel(data.units.scale), [255.0]):
        return ""
    return (
        "The array's own values set its units, and the weights may have been trained in others. "
        "Set those with data_options.scaling OFFSET,SCALE: model units = (stored - offset) / scale."
    )


def _in_shape(kind: Family, given: Mapping[str, Any]) -> Sequence[int] | None:
    """(T, C, H, W), or None if the configuration does not have it."""
    try:
        return kind.in_shape(given)
    except KeyError:
        return None


def _clips(hints: Hints, given: Mapping[str, Any], length: int | None) -> Recipe:
    """The plain recipe of the data set, with the clips' fields set; `length` is the model's T."""
    dataset = hints.dataset or DATASETS.get(str(given.get("dataname")))
    if dataset is None:
        raise ValueError(
            "dataset is missing: the checkpoint does not say which data it is for (dataname="
            f"{given.get('dataname')!r}); expected a data set's name, or 'arrays' with "
            "data_options.path for a file of yours"
        )
    usual = recipes.create(dataset, adapter="none")
    length = length or entries.frames(given, "pre_seq_length", "pre_seq")
    horizon = entries.frames(given, "aft_seq_length", "after_seq")
    return dataclasses.replace(
        usual,
        in_length=hints.in_length or length or usual.in_length,
        out_length=hints.out_length or horizon or usual.out_length,
        data_options={**usual.data_options, **hints.data_options},
        data_dir=hints.data_dir,
        protocol=hints.protocol,
    )


def _open(recipe: Recipe, in_shape: Sequence[int] | None) -> VideoDataset:
    """The data set, or what is known of it before it is prepared.

    Raises:
      FileNotFoundError: it is not prepared, and its frames or units are not known.
      ValueError: its frames are not those of `in_shape`, (T, C, H, W).
    """
    try:
        data = open_dataset(recipe)
    except FileNotFoundError:
        benchmark = BENCHMARKS[recipe.dataset]
        if recipe.dataset not in UNITS or recipe.data_options != benchmark.data_options:
            raise  # with other options, frames and units are not known beforehand
        data = VideoDataset(
            name=recipe.dataset,
            config="as published",
            splits={},
            in_length=recipe.in_length,
            out_length=recipe.out_length,
            frame_shape=benchmark.frame_shape,
            units=UNITS[recipe.dataset],
            note=f"{recipe.dataset} was not prepared when this run was imported.",
        )
    if in_shape is not None:
        _, channels, height, width = in_shape
        if (height, width, channels) != tuple(data.frame_shape):
            raise ValueError(
                f"dataset={recipe.dataset!r}: the model is for frames (H, W, C) = "
                f"{(height, width, channels)}, but the data set has {data.frame_shape}; choose "
                "another data set, or other data_options"
            )
    return data
