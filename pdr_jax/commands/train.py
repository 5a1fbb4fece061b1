"""`pdr train`.

A run's settings are those of a published recipe, with the options of the command line replacing
some. These are printed at the start, and all are stored in the run folder.
"""

import dataclasses
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from pdr_datasets import VideoDataset
from pdr_jax import backbones, losses, processes, recipes
from pdr_jax.commands.columns import print_columns
from pdr_jax.commands.defaults import default_folder, named_recipe
from pdr_jax.commands.finish import finish
from pdr_jax.commands.options import parse_options
from pdr_jax.commands.progress import TrainingProgress
from pdr_jax.commands.summary import summary
from pdr_jax.recipes import Recipe
from pdr_jax.recipes.recipe import ADAPTERS, LoggerName
from pdr_jax.runs import loggers, memory
from pdr_jax.runs.fit import fit
from pdr_jax.runs.folder import check_vacant, is_imported, read_recipe
from pdr_jax.runs.lineage import protocol_note
from pdr_jax.runs.log import log_results
from pdr_jax.runs.profile import steps_of
from pdr_jax.runs.units import in_units_of
from pdr_jax.task import open_dataset, open_task, optimisation, output_note

if TYPE_CHECKING:  # which knows no names from a table
    Backbone = str
    Adapter = str
    Loss = str
else:
    _name = tyro.conf.arg(metavar="STR")
    Backbone = Annotated[Literal[tuple(backbones.names())], _name]
    Adapter = Annotated[Literal[ADAPTERS], _name]
    Loss = Annotated[Literal[tuple(losses.LOSSES)], _name]


@dataclasses.dataclass(frozen=True)
class _CommandLineRecipe(Recipe):
    """A recipe whose data set is a positional argument, `pdr train kth`, and whose names are known.

    Recipe has refused unknown names before; here a shell completes the known ones.
    """

    dataset: tyro.conf.Positional[str]
    backbone: Backbone
    adapter: Adapter
    loss: Loss


def train_command(argv: list[str]) -> Callable[..., None]:
    """`train`, whose options have the recipe that the command line names as their defaults."""
    recipe = named_recipe(argv[1:]) if argv[:1] == ["train"] else recipes.create("moving_sprites")
    named = _CommandLineRecipe(**vars(recipe))
    fields = tyro.conf.arg(name="", prefix_name=False)

    def train(
        recipe: Annotated[_CommandLineRecipe, fields] = named,
        out: Path | None = None,
        resume: Path | None = None,
        profile: str | None = None,
        distributed: processes.Distributed = "auto",
    ) -> None:
        """Train a predictor, with or without PDR, and leave a run folder.

        Args:
            recipe: Everything that defines the run.
            out: The run's folder; by default runs/DATASET-BACKBONE-ADAPTER-LOSS-seedN, with a code
                for other settings that are not the defaults.
            resume: A run folder to continue with its own recipe; see pdr train --resume --help.
            profile: Steps to trace for XProf and Perfetto, such as 10:20 for steps 10 to 19.
            distributed: Whether to join other processes: where the environment names them (auto),
                always, or never.
        """
        processes.join(distributed)
        del resume  # `resume_run` takes it
        settings = Recipe(**vars(recipe))
        if settings.dataset != named.dataset:
            raise ValueError(
                f"dataset={settings.dataset!r}, but {named.dataset!r} was taken for it: give the "
                f"data set before all options, pdr train {settings.dataset} ..."
            )
        data_options = parse_options(settings.data_options)
        settings = dataclasses.replace(settings, data_options=data_options)
        train_run(settings, out or default_folder(settings), profile)

    if argv[:1] == ["train"] and "--resume" in {word.split("=")[0] for word in argv}:
        _check_options_of_resume(argv[1:])
        return resume_run
    return train


def resume_run(
    resume: Path,
    checkpoint: int | None = None,
    accept_changes: bool = False,
    units: Literal["run"] | None = None,
    devices: int | None = None,
    shard_parameters: bool | None = None,
    remat: bool | None = None,
    renderer: recipes.Renderer | None = None,
    ssim: recipes.Ssim | None = None,
    log: tuple[LoggerName, ...] | None = None,
    profile: str | None = None,
    distributed: processes.Distributed = "auto",
) -> None:
    """Continue a run with its own recipe.

    Args:
        resume: The run folder.
        checkpoint: The step to go on from; by default the newest checkpoint that is whole.
        accept_changes: Go on though recipe.json or the data have changed.
        units: "run" keeps the run's units, though its data would now give others.
        devices: How many to train on; 0 takes all. By default as before.
        shard_parameters: Whether each device keeps its part of large parameters. By default as
            before.
        remat: Whether blocks are computed again for their gradient. By default as before.
        renderer: What draws Gaussians. By default as before.
        ssim: What computes the loss's SSIM. By default as before.
        log: Where figures and pictures go besides metrics.jsonl. By default as before.
        profile: Steps to trace for XProf and Perfetto, such as 10:20 for steps 10 to 19.
        distributed: Whether to join other processes: where the environment names them (auto),
            always, or never.
    """
    processes.join(distributed)
    given: dict[str, Any] = {
        "devices": devices,
        "shard_parameters": shard_parameters,
        "remat": remat,
        "renderer": renderer,
        "ssim": ssim,
        "log": log,
    }
    changed = {name: value for name, value in given.items() if value is not None}
    recipe = dataclasses.replace(read_recipe(resume), **changed)
    dataset = in_units_of(resume, open_dataset(recipe), units)
    _train(
        recipe,
        resume,
        dataset,
        resume=True,
        checkpoint=checkpoint,
        accept=accept_changes,
        profile=profile,
    )


def _check_options_of_resume(argv: list[str]) -> None:
    known = {f"--{name.replace('_', '-')}" for name in inspect.signature(resume_run).parameters}
    given = {word.split("=")[0].replace("_", "-") for word in argv if word.startswith("--")}
    if not argv[0].startswith("-") or given - known - {"--no-accept-changes", "--help"}:
        raise ValueError(
            f"--resume takes no other option than {', '.join(sorted(known - {'--resume'}))}: the "
            "run keeps its own settings; for other settings start a new run with --init-from"
        )


def train_run(recipe: Recipe, run: Path, profile: str | None = None) -> None:
    """Trains a recipe from its start, then evaluates the run."""
    try:
        check_vacant(run, recipe)
    except FileExistsError as error:
        raise FileExistsError(f"{error} (--out FOLDER, or pdr train --resume {run})") from None
    _train(recipe, run, open_dataset(recipe), profile=profile)


def _train(
    recipe: Recipe,
    run: Path,
    dataset: VideoDataset,
    *,
    resume: bool = False,
    checkpoint: int | None = None,
    accept: bool = False,
    profile: str | None = None,
) -> None:
    traced = steps_of(profile) if profile is not None else None
    loggers.check(recipe.log)
    task = open_task(recipe, dataset)
    memory.check_batch(recipe, task.dataset.frame_shape)
    for clips in filter(None, (task.train, task.holdout, task.test)):
        clips[len(clips) - 1]  # a file that is missing is found now, not after the training
    plan = optimisation(recipe, len(task.train))
    if traced and traced[-1] > plan.steps:
        raise ValueError(f"profile={profile!r}: expected steps up to {plan.steps}, the last")
    origin = recipe.init_from
    notes = (
        task.dataset.reading,
        task.dataset.note,
        protocol_note(Path(origin), recipe) if origin and not resume else "",
        recipe.gaussians_note(task.dataset.frame_shape),
        recipe.sampling_note(plan.steps, plan.steps_per_epoch),
        output_note(task),
    )
    print_columns(summary(recipe, plan.steps), (12,))
    print(f"run folder: {run} (recipe.json has every setting)")
    for text in filter(None, notes):
        note(text)
    if resume and is_imported(run):
        print(f"continues from imported weights: {plan.steps} steps of the recipe's schedule")
    try:
        with TrainingProgress(recipe.label) as progress:
            fit(
                task,
                run,
                resume=resume,
                checkpoint=checkpoint,
                accept_changes=accept,
                profile=traced,
                report=progress,
                remark=note,
            )
        finish(run)
        log_results(run, recipe, note)
    except (KeyboardInterrupt, SystemExit):
        if (run / "recipe.json").exists():
            note(f"continue with: pdr train --resume {run}")
        raise


def note(text: str) -> None:
    """Prints a remark for the user."""
    print(f"note: {text}", flush=True)
