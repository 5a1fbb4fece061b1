"""A training run from start to end: batches, steps, checkpoints and the run folder.

A resumed run gives the same numbers as an uninterrupted one: parameters, data order and stochastic
depth are functions of (seed, step), and each checkpoint holds the position in the data.
"""

import contextlib
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

import pdr_datasets
from pdr_jax.files import write_json
from pdr_jax.runs import folder
from pdr_jax.runs.checkpoints import Checkpoints
from pdr_jax.runs.log import RunLog
from pdr_jax.runs.pace import Pace
from pdr_jax.runs.state import start
from pdr_jax.runs.validation import validate
from pdr_jax.runs.warm_start import read_origin
from pdr_jax.sharding import make_gather, make_mesh, shard_batch
from pdr_jax.task import Optimisation, Task, optimisation
from pdr_jax.train import TrainState, train_step

Report = Callable[[Mapping[str, float]], None]


def fit(
    task: Task, out: Path | str, *, resume: bool = False, report: Report | None = None
) -> TrainState:
    """Trains a task's model, and returns the last state.

    Args:
      task: what is trained.
      out: the run's folder; must not hold a run unless `resume`.
      resume: continue from the last checkpoint in `out`; if there is none, begin.
      report: called with the scalars of each logged step, and with the figures of each checkpoint.

    Raises:
      FileExistsError: `out` holds a run, finished or not, and `resume` is False.
      FileNotFoundError: the recipe's `init_from` is no run folder, or has no checkpoint.
      DivergedError: the loss became NaN or infinite.
      ValueError: the recipe does not fit the data, the devices, or the run that it starts from.
    """
    recipe, out = task.recipe, Path(out)
    if not resume:
        folder.check_vacant(out, recipe)
    plan = optimisation(recipe, len(task.train))
    mesh = make_mesh(recipe.devices, recipe.model_parallel)
    batches, place = _feed(task, mesh)
    begins = not Checkpoints.exist(out / "checkpoints")
    origin = read_origin(Path(recipe.init_from)) if begins and recipe.init_from else None
    with contextlib.closing(_batches(task, task.train)) as one_pass:
        first = next(one_pass)["frames"]
    state, source = start(task, plan.tx, first, mesh, origin)
    step_function = _jit_step(task, plan, state)
    save_every = recipe.save_every or plan.steps_per_epoch
    out.mkdir(parents=True, exist_ok=True)
    with (
        contextlib.closing(batches),
        Checkpoints(out / "checkpoints") as checkpoints,
        RunLog(out, report) as log,
    ):
        if checkpoints.last is not None:
            state, saved = checkpoints.restore(state)
            if saved["data"] is not None:  # an imported run has no position in the data
                batches.set_state(saved["data"])
        record = _Description(task, out, source, begins=begins, step=int(state.step))
        log.rewind(int(state.step))
        pace = Pace(
            plan, frames_per_step=recipe.batch_size * (recipe.in_length + recipe.out_length)
        )
        for step in range(int(state.step) + 1, plan.steps + 1):
            batch = next(batches)
            frames = place(batch["frames"])
            state, scalars = step_function(state, frames)
            pace.add(step, batch["id"], scalars)
            saves = step % save_every == 0 or step == plan.steps
            if saves or step % recipe.log_every == 0:
                log.write(pace.figures(last_checkpoint=checkpoints.last))
            if saves:
                figures = validate(task, state, functools.partial(_batches, task), frames)
                log.write({"step": step, **figures})
                chosen_by = f"{task.selection[0]}_mse" if task.selection else "loss"
                checkpoints.save(
                    state,
                    data=batches.get_state(),
                    config=recipe.to_json(),
                    score=figures.get(chosen_by, float(scalars["loss"])),
                )
                record.trained()
                pace.restart()
    return state


class _Description:
    """recipe.json and data.json of a run, written by the first process.

    data.json of an imported run describes the import only, until a checkpoint has been trained.
    """

    def __init__(
        self, task: Task, out: Path, source: dict[str, Any], *, begins: bool, step: int
    ) -> None:
        self._task, self._path = task, out / "data.json"
        self._imported = {} if begins or step else folder.read_data(out)
        if step == 0 and jax.process_index() == 0:
            write_json(out / "recipe.json", task.recipe.to_json())
            if not self._imported:
                write_json(self._path, folder.describe_training(task) | source)

    def trained(self) -> None:
        """Adds the training to the data.json of an imported run, at its first checkpoint."""
        if self._imported and jax.process_index() == 0:
            write_json(self._path, self._imported | folder.describe_training(self._task))
            self._imported = {}


def _batches(task: Task, source: pdr_datasets.Source, **options: Any) -> Any:
    """Batches of this process's clips."""
    return pdr_datasets.batches(
        source,
        batch_size=task.recipe.batch_size,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
        **options,
    )


def _feed(task: Task, mesh: jax.sharding.Mesh) -> tuple[Any, Callable[[np.ndarray], jax.Array]]:
    """Endless training batches, and a function that puts a batch's "frames" on the devices."""
    recipe, source = task.recipe, task.train
    place: Callable[[np.ndarray], jax.Array] = functools.partial(shard_batch, mesh)
    if recipe.resident_mib:
        source = pdr_datasets.Resident(source, recipe.resident_mib)
        place = make_gather(mesh, source.frames)
    batches = _batches(
        task,
        source,
        seed=recipe.seed,
        shuffle=True,
        num_epochs=None,
        drop_remainder=True,
        augment=pdr_datasets.augmentation(recipe.dataset) if recipe.augment else None,
    )
    return batches, place


def _jit_step(task: Task, plan: Optimisation, state: TrainState) -> Callable:
    """`train_step` of a task, compiled for the shardings of the state."""
    recipe = task.recipe
    step = functools.partial(
        train_step,
        model=task.model,
        loss=recipe.build_loss(task.dataset.data_range),
        tx=plan.tx,
        clip=task.clip,
        seed=recipe.seed,
        ema_decay=recipe.ema_decay,
        coarse_weight=recipe.coarse_weight,
        sampling=recipe.build_sampling(plan.steps_per_epoch),
    )
    shardings = jax.tree.map(lambda leaf: leaf.sharding, state)
    return jax.jit(step, donate_argnums=0, out_shardings=(shardings, None))
