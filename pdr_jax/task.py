"""Opens a recipe: its data set, its model and its clips (a `Task`), and its optimiser."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import optax

import pdr_datasets
from pdr_jax import optim
from pdr_jax.fields import LARGEST
from pdr_jax.pdr import PDR
from pdr_jax.recipes import Recipe
from pdr_jax.train import ClipSpec


class Task(NamedTuple):
    """Everything about a run that does not change while it trains.

    Attributes:
      recipe: the settings.
      model: PDR, or the plain predictor.
      dataset: the opened data set.
      clip: how clips are split and scaled.
      train: training clips.
      holdout: the validation split, or else training clips that are held out; None if there are
        none, and under protocol "openstl".
      test: test clips; None if there are none.
      selection: name and clips of the split that chooses the best checkpoint: ("val" or "holdout",
        `holdout`), or ("test", `test`) under protocol "openstl". None: the training loss chooses.
      chosen_on: `selection` in words.
    """

    recipe: Recipe
    model: PDR
    dataset: pdr_datasets.VideoDataset
    clip: ClipSpec
    train: pdr_datasets.Source
    holdout: pdr_datasets.Source | None
    test: pdr_datasets.Source | None
    selection: tuple[str, pdr_datasets.Source] | None
    chosen_on: str


class Optimisation(NamedTuple):
    """The optimiser of a run, and the length of the run.

    Attributes:
      tx: the optimiser.
      schedule: step (from 0) -> learning rate.
      steps: optimiser steps in all.
      steps_per_epoch: optimiser steps in one pass over the training clips.
    """

    tx: optax.GradientTransformation
    schedule: optax.Schedule
    steps: int
    steps_per_epoch: int


def open_dataset(recipe: Recipe) -> pdr_datasets.VideoDataset:
    """The data set that a recipe names.

    Raises:
      FileNotFoundError: the data set has not been prepared.
      ValueError: an option is unknown, missing or out of range.
    """
    options = {name: value for name, value in recipe.data_options.items() if value != ""}
    if "protocol" in pdr_datasets.options(recipe.dataset):
        options["protocol"] = recipe.protocol
    if recipe.dataset == "arrays" and "path" not in options:
        raise ValueError("data_options.path is missing: expected the file of your array")
    return pdr_datasets.load(
        recipe.dataset,
        data_dir=recipe.data_dir,
        in_length=recipe.in_length,
        out_length=recipe.out_length,
        **options,
    )


def open_task(
    recipe: Recipe,
    dataset: pdr_datasets.VideoDataset | None = None,
    model: PDR | None = None,
) -> Task:
    """Opens the data set and builds the model of a recipe.

    Args:
      recipe: the settings.
      dataset: an opened data set, in place of the one that the recipe names.
      model: a model, in place of the one that the recipe describes; its backbone may be your own.

    Raises:
      FileNotFoundError: the data set has not been prepared.
      ValueError: an option is unknown, missing or out of range; or the model cannot be built for
        frames of this size.
    """
    dataset = dataset or open_dataset(recipe)
    train, validation, test = (dataset.splits.get(name) for name in ("train", "val", "test"))
    train = () if train is None else train
    clips = kept = len(train)
    holdout, selection = validation, None
    chosen_on = "the training loss"
    if recipe.protocol == "openstl":
        holdout = None
        if test is not None:
            selection, chosen_on = ("test", test), "the TEST split, as OpenSTL does"
    elif validation is not None:
        selection, chosen_on = ("val", validation), "the validation split"
    elif held := int(clips * recipe.holdout):
        # Hold out the last clips, which show other people or later weeks, and drop the `overlap`
        # clips before them, which share frames with them.
        holdout = _Slice(train, clips - held, clips)
        kept = max(clips - held - dataset.overlap, 0)
        selection, chosen_on = ("holdout", holdout), f"the last {held} of {clips} training clips"
    return Task(
        recipe=recipe,
        model=model or recipe.build(dataset.frame_shape),
        dataset=dataset,
        clip=ClipSpec(recipe.in_length, recipe.out_length, dataset.units, dataset.fill),
        train=_Slice(train, 0, kept),
        holdout=holdout,
        test=test,
        selection=selection,
        chosen_on=chosen_on,
    )


def optimisation(recipe: Recipe, samples: int) -> Optimisation:
    """The optimiser of a recipe for `samples` training clips.

    Raises:
      ValueError: there are fewer clips than a batch has, or too many steps.
    """
    steps_per_epoch = samples // recipe.batch_size
    if steps_per_epoch < 1:
        raise ValueError(
            f"batch_size={recipe.batch_size}: expected at most the {samples} training clips"
        )
    steps = recipe.steps or recipe.epochs * steps_per_epoch
    if steps > LARGEST:
        raise ValueError(
            f"epochs={recipe.epochs}: expected at most {LARGEST} steps in all, and they are {steps}"
        )
    tx, schedule = optim.create(
        optimizer=recipe.optimizer,
        learning_rate=recipe.learning_rate,
        schedule=recipe.schedule,
        total_steps=steps,
        epochs=math.ceil(steps / steps_per_epoch),
        warmup_epochs=recipe.warmup_epochs,
        weight_decay=recipe.weight_decay,
        decay=recipe.decay,
        clip_norm=recipe.clip_norm,
    )
    if recipe.frozen:
        tx = optim.of_part(tx, "residual")
    return Optimisation(tx, schedule, steps, steps_per_epoch)


def output_note(task: Task) -> str:
    """A warning if the data go beyond the bounds of the backbone's outputs; else ""."""
    bounds = getattr(task.model.backbone, "output_range", None)
    low, high = task.dataset.data_range
    if bounds is None or (bounds[0] <= low and high <= bounds[1]):
        return ""
    return (
        f"output: {type(task.model.backbone).__name__} predicts values from {bounds[0]:g} to "
        f"{bounds[1]:g}, and the data go from {low:.3g} to {high:.3g}"
    )


class _Slice:
    """Samples [start, stop) of a source."""

    def __init__(self, source: pdr_datasets.Source, start: int, stop: int) -> None:
        self._source, self._range = source, range(start, stop)

    def __len__(self) -> int:
        return len(self._range)

    def __getitem__(self, index: Any) -> Mapping[str, Any]:
        return self._source[self._range[index]]
