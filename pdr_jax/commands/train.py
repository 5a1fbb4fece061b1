"""`pdr train`.

A run's settings are those of a published recipe, with the options of the command line replacing
some. They are printed in full at the start and stored in the run folder.
"""

import argparse
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import tyro

from pdr_jax import recipes
from pdr_jax.benchmarks import BENCHMARKS
from pdr_jax.commands.finish import finish
from pdr_jax.commands.progress import TrainingProgress
from pdr_jax.recipes import Recipe
from pdr_jax.runs.fit import fit
from pdr_jax.runs.folder import check_vacant, is_imported, read_recipe
from pdr_jax.runs.lineage import protocol_note
from pdr_jax.task import open_task, optimisation, output_note


@dataclasses.dataclass(frozen=True)
class _CommandLineRecipe(Recipe):
    """A recipe whose data set is a positional argument: `pdr train kth`."""

    dataset: tyro.conf.Positional[str]


def train_command(argv: list[str]) -> Callable[..., None]:
    """`train`, whose options have the recipe that the command line names as their defaults."""
    recipe = named_recipe(argv[1:]) if argv[:1] == ["train"] else recipes.create("moving_sprites")
    named = _CommandLineRecipe(**vars(recipe))
    fields = tyro.conf.arg(name="", prefix_name=False)

    def train(
        recipe: Annotated[_CommandLineRecipe, fields] = named,
        out: Path | None = None,
        resume: Path | None = None,
    ) -> None:
        """Train a predictor, with or without PDR, and leave a run folder.

        Args:
            recipe: Everything that defines the run.
            out: The run's folder; by default runs/DATASET-BACKBONE-ADAPTER-LOSS-seedN.
            resume: A run folder to continue with its own recipe; takes no other option.
        """
        settings = Recipe(**vars(recipe))
        if resume is not None:
            _check_no_other_option(argv)
            settings = read_recipe(resume)
        elif settings.dataset != named.dataset:
            raise ValueError(
                f"dataset={settings.dataset!r}, but {named.dataset!r} was taken for it: give the "
                f"data set before all options, pdr train {settings.dataset} ..."
            )
        train_run(settings, resume or out or default_folder(settings), resume=resume is not None)

    return train


def train_run(recipe: Recipe, run: Path, *, resume: bool) -> None:
    """Trains a recipe from its start or from the last checkpoint, then evaluates the run."""
    if not resume:
        try:
            check_vacant(run, recipe)
        except FileExistsError as error:
            raise FileExistsError(f"{error} (--out FOLDER, or pdr train --resume {run})") from None
    task = open_task(recipe)
    plan = optimisation(recipe, len(task.train))
    origin = recipe.init_from
    notes = (
        task.dataset.note,
        protocol_note(Path(origin), recipe) if origin and not resume else "",
        recipe.sampling_note(plan.steps, plan.steps_per_epoch),
        output_note(task),
    )
    print(json.dumps(recipe.to_json(), indent=2))
    print(f"run folder: {run}")
    for note in filter(None, notes):
        print(f"note: {note}")
    if resume and is_imported(run):
        print(f"continues from imported weights: {plan.steps} steps of the recipe's schedule")
    with TrainingProgress(recipe.label) as progress:
        fit(task, run, resume=resume, report=progress)
    finish(run)


def named_recipe(argv: list[str]) -> Recipe:
    """The published recipe for the data set, backbone, adapter and loss on the command line.

    With --init-from, the backbone, its options and `in_length` are those of the source run. On the
    same data set, so are the protocol and the other fields that decide which clips a run sees.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for option in ("--backbone", "--adapter", "--loss"):
        parser.add_argument(option)
    parser.add_argument("--init-from", "--init_from")
    known, rest = parser.parse_known_args(argv)
    words = [word for word in rest[:1] if not word.startswith("-")]
    words += [word for word in rest if word in BENCHMARKS]
    dataset = words[0] if words else ""
    chosen = {name: value for name, value in vars(known).items() if value is not None}
    if "init_from" in chosen:
        origin = read_recipe(Path(chosen["init_from"]))
        dataset = dataset or origin.dataset
        if chosen.setdefault("backbone", origin.backbone) != origin.backbone:
            raise ValueError(
                f"backbone={chosen['backbone']!r}: the run to start from, {chosen['init_from']}, "
                f"has {origin.backbone!r}; leave out --backbone"
            )
        same = dataset == origin.dataset
        clips = (*recipes.CLIP_FIELDS, "protocol") if same else ("in_length",)
        chosen |= {name: getattr(origin, name) for name in ("backbone_options", *clips)}
    return recipes.create(dataset or "moving_sprites", **chosen)


def default_folder(recipe: Recipe) -> Path:
    """runs/DATASET-BACKBONE-ADAPTER-LOSS-seedN.

    The name also has the protocol if it is not "standard", and the run that training starts from.
    """
    parts = [recipe.dataset, recipe.backbone, recipe.adapter, recipe.loss]
    parts += [recipe.protocol] if recipe.protocol != "standard" else []
    parts += [f"from-{Path(recipe.init_from).name}"] if recipe.init_from else []
    return Path("runs") / "-".join((*parts, f"seed{recipe.seed}"))


def _check_no_other_option(argv: list[str]) -> None:
    option, *rest = [*argv[1].split("=", 1), *argv[2:]]
    if option != "--resume" or len(rest) > 1:
        raise ValueError(
            "--resume takes no other option: the run keeps its own settings; for other settings "
            "start a new run with --init-from"
        )
