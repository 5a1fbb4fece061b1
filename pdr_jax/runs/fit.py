"""A training run from start to end: batches, steps, checkpoints and the run folder.

A resumed run gives the same numbers as an uninterrupted one: parameters, data order and stochastic
depth are functions of (seed, step), and each checkpoint holds the position in the data.
"""

import contextlib
import functools
import math
import signal
import warnings
from pathlib import Path
from typing import Any

import jax

from pdr_jax import processes
from pdr_jax.files import write_json
from pdr_jax.recipes import Recipe
from pdr_jax.runs import folder, loggers, memory, resuming, stopping
from pdr_jax.runs.checkpoints import Checkpoints, check_path
from pdr_jax.runs.claim import claim
from pdr_jax.runs.feed import clip_batches, feed
from pdr_jax.runs.log import Remark, Report, RunLog
from pdr_jax.runs.pace import Pace
from pdr_jax.runs.profile import Profiler
from pdr_jax.runs.saved import Saved
from pdr_jax.runs.saver import Saver
from pdr_jax.runs.state import start
from pdr_jax.runs.warm_start import read_origin
from pdr_jax.sharding import make_mesh, traced_for
from pdr_jax.task import Optimisation, Task, optimisation
from pdr_jax.train import TrainState, train_step


def fit(
    task: Task,
    out: Path | str,
    *,
    resume: bool = False,
    checkpoint: int | None = None,
    accept_changes: bool = False,
    profile: range | None = None,
    report: Report | None = None,
    remark: Remark = warnings.warn,
) -> TrainState:
    """Trains a task's model, and returns the last state.

    SIGINT and SIGTERM end it after the step at hand, with a checkpoint.

    Args:
      task: what is trained.
      out: the run's folder; must not hold a run unless `resume`.
      resume: continue from the last checkpoint in `out`; if there is none, begin.
      checkpoint: the step of another checkpoint to continue from.
      accept_changes: continue though recipe or data are not those of the run any more.
      profile: steps to trace, see `pdr_jax.runs.profile`.
      report: called with the scalars of each logged step, and with the figures of each checkpoint.
      remark: called with what a person should know, such as a damaged checkpoint.

    Raises:
      FileExistsError: `out` holds a run, finished or not, and `resume` is False; or another process
        trains in it.
      FileNotFoundError: the recipe's `init_from` is no run folder, or has no checkpoint.
      ImportError: a logger of the recipe needs a package that is not installed.
      DivergedError: the loss, the state or the validation error is no longer finite.
      ValueError: the recipe does not fit the data, the devices, or the run that it starts from; or
        the run has changed, or has no whole checkpoint.
    """
    out = Path(out)
    check_path(out)
    loggers.check(task.recipe.log)
    with claim(out) if processes.first() else contextlib.nullcontext():
        if not resume:
            folder.check_vacant(out, task.recipe)
            processes.wait_for_all("the run folder is vacant")
        saved, step = Saved(out / "checkpoints"), None
        if saved.steps:
            step = resuming.choose(saved, checkpoint, remark)
        if step:  # any recipe may go on from imported weights, step 0
            resuming.check_unchanged(out, task, saved, step, accept=accept_changes, remark=remark)
        memory.check_batch(task.recipe, task.dataset.frame_shape)
        with memory.told(task.recipe.batch_size):
            return _train(task, out, step, profile, report, remark)


def _train(
    task: Task,
    out: Path,
    go_on_from: int | None,
    profile: range | None,
    report: Report | None,
    remark: Remark,
) -> TrainState:
    """Trains from the checkpoint of a step, or from the start."""
    recipe = task.recipe
    plan = optimisation(recipe, len(task.train))
    profiler = Profiler(profile, out, remark, done=go_on_from or 0, last=plan.steps)
    mesh = make_mesh(recipe.devices)
    _check_shares(recipe, mesh)
    batches, place = feed(task, mesh)
    begins = go_on_from is None
    origin = read_origin(Path(recipe.init_from)) if begins and recipe.init_from else None
    with contextlib.closing(clip_batches(task, task.train)) as one_pass:
        first = next(one_pass)["frames"]
    state, source = start(task, plan.tx, first, mesh, origin)
    if recipe.accumulate > 1 and state.batch_stats:
        remark(
            f"accumulate={recipe.accumulate}: the model's batch statistics are of "
            f"{recipe.batch_size // recipe.accumulate} clips at a time, not {recipe.batch_size}"
        )
    step_function = profiler.watch(jit_step(task, plan, state, mesh))
    save_every = recipe.save_every or plan.steps_per_epoch
    processes.check_equal(state, "the first state")
    if go_on_from is not None and processes.first():
        for moved in Saved(out / "checkpoints").set_aside(after=go_on_from):
            remark(f"a checkpoint was moved to {moved}")
    processes.wait_for_all("later checkpoints are set aside")
    with (
        stopping.noticed(remark) as noticed,
        RunLog(out, remark, report) as log,  # its end may take long, so it comes after the others
        contextlib.closing(batches),
        Checkpoints(out / "checkpoints") as checkpoints,
        profiler,
        processes.ends_together(
            lambda: f"the last checkpoint of {out} is that of step {checkpoints.last}"
        ),
    ):
        if go_on_from is not None:
            state, saved = checkpoints.restore(state, go_on_from)
            processes.check_equal(state, "the restored state")
            if saved["data"] is not None:  # an imported run has no position in the data
                batches.set_state(saved["data"])
        record = _Description(task, out, source, begins=begins, step=int(state.step))
        log.rewind(int(state.step))
        log.open_loggers(recipe, int(state.step))
        for logged in log.places:
            remark(f"logs to {logged}")
        pace = Pace(
            plan, frames_per_step=recipe.batch_size * (recipe.in_length + recipe.out_length)
        )
        saver, votes = Saver(task, checkpoints, log, batches), processes.Votes(mesh)
        for step in range(int(state.step) + 1, plan.steps + 1):
            with profiler.step(step):
                with profiler.data():
                    batch = next(batches)
                    frames = place(batch["frames"])
                state, scalars = step_function(state, frames)
                pace.add(step, batch["id"], scalars)
                scored = step % save_every == 0 or step == plan.steps
                if scored or step % recipe.log_every == 0:
                    log.write(pace.figures(checkpoints.last_saved))
            ends, due = votes.cast(noticed() or 0, saver.is_due())
            if scored or ends or due:
                if scored:
                    saver.score(state, frames, float(scalars["loss"]))
                else:
                    saver.save(state, math.inf)
                record.trained()
                pace.restart()
            if ends:
                break
        ends, _ = votes.cast(noticed() or 0, False)  # during the last step
    if ends:
        signalled = signal.Signals(ends)
        remark(f"{signalled.name}: {out} is saved up to step {int(state.step)}")
        stopping.stop(signalled)
    return state


def _check_shares(recipe: Recipe, mesh: jax.sharding.Mesh) -> None:
    """Refuses a batch whose micro-batches the devices cannot share evenly."""
    devices = mesh.shape["data"]
    if recipe.batch_size % (recipe.accumulate * devices):
        raise ValueError(
            f"batch_size={recipe.batch_size}: expected a multiple of {recipe.accumulate * devices}"
            f": accumulate={recipe.accumulate} times the {devices} devices that share the batch"
        )


class _Description:
    """recipe.json and data.json of a run, written by the first process.

    data.json of an imported run describes the import only, until a checkpoint has been trained.
    """

    def __init__(
        self, task: Task, out: Path, source: dict[str, Any], *, begins: bool, step: int
    ) -> None:
        self._task, self._path = task, out / "data.json"
        self._imported = {} if begins or step else folder.read_data(out)
        if step == 0 and processes.first():
            write_json(out / "recipe.json", task.recipe.to_json())
            if not self._imported:
                write_json(self._path, folder.describe_training(task) | source)

    def trained(self) -> None:
        """Adds the training to the data.json of an imported run, at its first checkpoint."""
        if self._imported and processes.first():
            write_json(self._path, self._imported | folder.describe_training(self._task))
            self._imported = {}


def jit_step(
    task: Task, plan: Optimisation, state: TrainState, mesh: jax.sharding.Mesh
) -> jax.stages.Wrapped:
    """`train_step` of a task, compiled for the shardings of the state, or of its shapes."""
    recipe = task.recipe
    step = functools.partial(
        train_step,
        model=task.model,
        loss=recipe.build_loss(task.dataset.data_range, missing=task.clip.fill is not None),
        tx=plan.tx,
        clip=task.clip,
        seed=recipe.seed,
        ema_decay=recipe.ema_decay,
        coarse_weight=recipe.coarse_weight,
        sampling=recipe.build_sampling(plan.steps_per_epoch),
        accumulate=recipe.accumulate,
    )
    shardings = jax.tree.map(lambda leaf: leaf.sharding, state)
    return jax.jit(traced_for(mesh, step), donate_argnums=0, out_shardings=(shardings, None))
