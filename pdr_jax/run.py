"""A training run, top to bottom: data, model, steps, checkpoints, and the folder they leave.

What the folder holds is said in `pdr_jax.run_folder`. A resumed run repeats the uninterrupted one:
parameters, data order and stochastic depth are functions of (seed, step), and the step's position
in the data is in the checkpoint.
"""

import functools
import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import pdr_datasets
from pdr_jax import diagnostics, metrics, optim, warm_start
from pdr_jax import evaluate as evaluation
from pdr_jax.checkpoint import Checkpoints
from pdr_jax.log import RunLog
from pdr_jax.pdr import PDR
from pdr_jax.recipes import Recipe
from pdr_jax.run_folder import describe_data, occupied, read_data, read_recipe, write_json
from pdr_jax.sharding import make_gather, make_mesh, shard_batch, state_shardings
from pdr_jax.train import ClipSpec, TrainState, init_state, train_step

Report = Callable[[Mapping[str, float]], None]


class Task(NamedTuple):
    """What a recipe and a data set make: everything about a run that does not change.

    `selection` chooses the best checkpoint, and `chosen_on` says in words what it is: `holdout`
    (validation clips, or the last for training), or OpenSTL's choice, the test clips.
    """

    model: PDR
    dataset: pdr_datasets.VideoDataset
    clip: ClipSpec
    train: pdr_datasets.Source
    holdout: pdr_datasets.Source | None
    test: pdr_datasets.Source | None
    selection: tuple[str, pdr_datasets.Source] | None
    chosen_on: str


class DivergedError(RuntimeError):
    """The loss is no longer a finite number."""


class _Slice:
    """Samples [start, stop) of a source."""

    def __init__(self, source: pdr_datasets.Source, start: int, stop: int) -> None:
        self._source, self._range = source, range(start, stop)

    def __len__(self) -> int:
        return len(self._range)

    def __getitem__(self, index: Any) -> Mapping[str, Any]:
        return self._source[self._range[index]]


def open_dataset(recipe: Recipe) -> pdr_datasets.VideoDataset:
    """The data set that a recipe names."""
    options = {name: value for name, value in recipe.data_options.items() if value != ""}
    if "protocol" in pdr_datasets.options(recipe.dataset):
        options["protocol"] = recipe.protocol
    if recipe.dataset == "arrays" and "path" not in options:
        raise ValueError("data_options.path is missing: give --data-options.path FILE")
    return pdr_datasets.load(
        recipe.dataset,
        data_dir=recipe.data_dir,
        in_length=recipe.in_length,
        out_length=recipe.out_length,
        **options,
    )


def load_task(
    recipe: Recipe,
    dataset: pdr_datasets.VideoDataset | None = None,
    model: PDR | None = None,
) -> Task:
    """The model and the sources of a recipe, or those given instead of what it names."""
    dataset = dataset or open_dataset(recipe)
    clip = ClipSpec(recipe.in_length, recipe.out_length, dataset.offset, dataset.scale)
    train = dataset.splits.get("train", ())
    splits, clips = dataset.splits, len(train)
    kept, holdout, test = clips, splits.get("val"), splits.get("test")
    selection = ("val", holdout) if holdout is not None else None
    chosen_on = "the validation split" if selection else "the training loss"
    if recipe.protocol == "openstl":
        holdout, selection = None, ("test", test) if test is not None else None
        chosen_on = "the TEST split, as OpenSTL does"
    elif holdout is None and (held := int(clips * recipe.holdout)):
        # The last ones in the data set's order: other people or later weeks; and between them and
        # the rest as many left out as would show some of the same frames.
        holdout = _Slice(train, clips - held, clips)
        kept = max(clips - held - dataset.overlap, 0)
        selection, chosen_on = ("holdout", holdout), f"the last {held} of {clips} training clips"
    return Task(
        model=model or recipe.build(dataset.frame_shape),
        dataset=dataset,
        clip=clip,
        train=_Slice(train, 0, kept),
        holdout=holdout,
        test=test,
        selection=selection,
        chosen_on=chosen_on,
    )


def optimizer(
    recipe: Recipe, samples: int
) -> tuple[optax.GradientTransformation, optax.Schedule, int, int]:
    """The optimiser of a run over `samples` clips, its schedule, and steps in all and an epoch.

    Raises:
      ValueError: there are fewer clips than a batch takes.
    """
    per_epoch = samples // recipe.batch_size
    if per_epoch < 1:
        raise ValueError(
            f"batch_size={recipe.batch_size}: expected at most the {samples} training clips"
        )
    steps = recipe.steps or recipe.epochs * per_epoch
    tx, schedule = optim.create(
        optimizer=recipe.optimizer,
        learning_rate=recipe.learning_rate,
        schedule=recipe.schedule,
        total_steps=steps,
        epochs=math.ceil(steps / per_epoch),
        warmup_epochs=recipe.warmup_epochs,
        weight_decay=recipe.weight_decay,
        decay=recipe.decay,
        clip_norm=recipe.clip_norm,
    )
    return tx, schedule, steps, per_epoch


def fit(
    recipe: Recipe,
    out: Path,
    *,
    dataset: pdr_datasets.VideoDataset | None = None,
    model: PDR | None = None,
    resume: bool = False,
    report: Report | None = None,
) -> tuple[Task, TrainState]:
    """Trains, and returns what was trained.

    Args:
      recipe: the run.
      out: its folder; must not hold a run already unless `resume`.
      dataset: replaces the data set that the recipe names.
      model: replaces the model that the recipe makes: a backbone of your own, say.
      resume: continue from the last checkpoint in `out`, or begin if there is none.
      report: called with the scalars of each logged step.

    Raises:
      FileExistsError: `out` holds a run, if only one begun, and `resume` is False.
      DivergedError: the loss became NaN or infinite.
      ValueError: data and recipe do not fit each other.
    """
    out = Path(out)
    if not resume:
        check_vacant(out, recipe)
    task = load_task(recipe, dataset, model)
    tx, schedule, steps, per_epoch = optimizer(recipe, len(task.train))
    mesh = make_mesh(recipe.devices, recipe.model_parallel)
    batches = functools.partial(
        pdr_datasets.batches,
        batch_size=recipe.batch_size,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
    )
    train, place = _feed(task.train, recipe, mesh)
    iterator = batches(
        train,
        seed=recipe.seed,
        shuffle=True,
        num_epochs=None,
        drop_remainder=True,
        augment=pdr_datasets.augmentation(recipe.dataset) if recipe.augment else None,
    )
    begins = not Checkpoints.exist(out / "checkpoints")
    origin = warm_start.read(Path(recipe.init_from)) if begins and recipe.init_from else None
    first = next(iter(batches(task.train)))["frames"]
    state, source = _start(task, tx, first, recipe, mesh, origin)
    step_function = _jit_step(task, tx, recipe, state, per_epoch)

    save_every = recipe.save_every or per_epoch
    score = f"{task.selection[0]}_mse" if task.selection else "loss"
    out.mkdir(parents=True, exist_ok=True)
    with Checkpoints(out / "checkpoints") as checkpoints, RunLog(out, report) as log:
        if checkpoints.last is not None:
            state, saved = checkpoints.restore(state)
            if saved["data"] is not None:  # an imported run has been through no data
                iterator.set_state(saved["data"])
        # What was imported stays what data.json describes until there is a checkpoint besides it.
        imported = {} if begins or int(state.step) else read_data(out)
        if int(state.step) == 0 and jax.process_index() == 0:
            write_json(out / "recipe.json", recipe.to_json())
            if not imported:
                write_json(out / "data.json", described(task) | source)
        log.rewind(int(state.step))
        pending: list[tuple[int, np.ndarray, Mapping[str, jax.Array]]] = []
        clock, untimed = 0.0, 1  # the first step of this process compiles
        for step in range(int(state.step) + 1, steps + 1):
            batch = next(iterator)
            frames = place(batch["frames"])
            state, scalars = step_function(state, frames)
            pending.append((step, batch["id"], scalars))
            clock = clock or time.perf_counter()
            if step % recipe.log_every == 0 or step % save_every == 0 or step == steps:
                # Fetching a loss waits for the device: once every `log_every` steps, not each.
                _check_finite(pending, checkpoints.last)
                seconds = (time.perf_counter() - clock) / max(len(pending) - untimed, 1)
                per_step = recipe.batch_size * (recipe.in_length + recipe.out_length)
                log.write(
                    {
                        "step": step,
                        "steps": steps,
                        **{name: float(value) for name, value in scalars.items()},
                        "learning_rate": float(schedule(step - 1)),
                        "frames_per_second": per_step / seconds,
                        "seconds_left": (steps - step) * seconds,
                    }
                )
                pending, clock, untimed = [], time.perf_counter(), 0
            if step % save_every == 0 or step == steps:
                figures = _validate(task, state, recipe, batches, frames)
                log.write({"step": step, **figures})
                checkpoints.save(
                    state,
                    data=iterator.get_state(),
                    config=recipe.to_json(),
                    score=figures.get(score, float(scalars["loss"])),
                )
                if imported and jax.process_index() == 0:
                    write_json(out / "data.json", imported | described(task))
                    imported = {}
                clock = time.perf_counter()
    return task, state


def check_vacant(folder: Path, recipe: Recipe) -> None:
    """Raises FileExistsError if a new run of the recipe would overwrite one in the folder."""
    if _holds_run(folder, recipe):
        raise FileExistsError(occupied(folder, recipe))


def _holds_run(folder: Path, recipe: Recipe) -> bool:
    """Whether a folder has what a new run of the recipe would overwrite."""
    if Checkpoints.exist(folder / "checkpoints"):
        return True
    begun, log = folder / "recipe.json", folder / "metrics.jsonl"
    if not begun.exists():
        return False
    another = json.loads(begun.read_text()) != json.loads(json.dumps(recipe.to_json()))
    return another or (log.exists() and log.stat().st_size > 0)


def output_note(task: Task) -> str:
    """What to know if the backbone's outputs have bounds and the data do not keep to them."""
    bounds = getattr(task.model.backbone, "output_range", None)
    low, high = task.dataset.data_range
    if bounds is None or (bounds[0] <= low and high <= bounds[1]):
        return ""
    return (
        f"output: {type(task.model.backbone).__name__} predicts values from {bounds[0]:g} to "
        f"{bounds[1]:g}, and the data go from {low:.3g} to {high:.3g}"
    )


def is_imported(folder: Path) -> bool:
    """Whether a run folder has what was imported and nothing that was trained on here."""
    if not Checkpoints.exist(folder / "checkpoints"):
        return False
    with Checkpoints(folder / "checkpoints") as checkpoints:
        return checkpoints.last == 0


def described(task: Task) -> dict[str, Any]:
    """What data a run was trained on: for people who read its results, and for `pdr predict`."""
    return {
        "training_clips": len(task.train),
        "chosen_on": task.chosen_on,
        **describe_data(task.dataset),
    }


def load(
    run: Path,
    *,
    dataset: pdr_datasets.VideoDataset | None = None,
    model: PDR | None = None,
    which: str = "best",
    recipe: Recipe | None = None,
) -> tuple[Recipe, Task, TrainState]:
    """The recipe, task and "best" or "last" state of a run folder.

    Args:
      run: the folder.
      dataset: replaces the data set that the recipe names.
      model: replaces the model that the recipe makes.
      which: "best" or "last".
      recipe: replaces the run's own, with a longer horizon, say, or another data set.

    Raises:
      FileNotFoundError: `run` is no run folder, or has no checkpoint.
    """
    recipe = recipe or read_recipe(run)
    task = load_task(recipe, dataset, model)
    tx, *_ = optimizer(recipe, samples=recipe.batch_size)  # its state is the same for any number
    length = recipe.in_length + recipe.out_length
    frames = jax.ShapeDtypeStruct((1, length, *task.dataset.frame_shape), jnp.float32)
    like = jax.eval_shape(_initial(task, tx, recipe), frames)
    shardings = state_shardings(make_mesh(1), like)
    like = jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        like,
        shardings,
    )
    with Checkpoints(Path(run) / "checkpoints") as checkpoints:
        state, _ = checkpoints.restore(like, which)
    return recipe, task, state


def _initial(task: Task, tx: Any, recipe: Recipe) -> Callable[[Any], TrainState]:
    """Clips of frames -> the initial state."""
    return functools.partial(
        init_state, task.model, tx, clip=task.clip, seed=recipe.seed, ema=recipe.ema_decay > 0
    )


def _feed(
    source: pdr_datasets.Source, recipe: Recipe, mesh: Any
) -> tuple[pdr_datasets.Source, Callable[[np.ndarray], jax.Array]]:
    """What training batches are made of, and what makes them frames on the devices."""
    if not recipe.resident_mib:
        return source, functools.partial(shard_batch, mesh)
    resident = pdr_datasets.Resident(source, recipe.resident_mib)
    return resident, make_gather(mesh, resident.frames)


def _start(
    task: Task,
    tx: Any,
    frames: np.ndarray,
    recipe: Recipe,
    mesh: Any,
    origin: warm_start.Origin | None,
) -> tuple[TrainState, dict[str, Any]]:
    """The initial state, laid out over the mesh, and what of it came from where, as JSON."""
    make = _initial(task, tx, recipe)
    shapes = jax.eval_shape(make, frames)
    parts = origin.parts(recipe, shapes) if origin else ()
    # It runs once, and LLVM's optimisation would take longer than that on a CPU.
    options = {"xla_backend_optimization_level": 0} if jax.default_backend() == "cpu" else None
    shardings = state_shardings(mesh, shapes)
    start = jax.jit(make, out_shardings=shardings, compiler_options=options)
    state = start(jnp.asarray(frames))
    if origin is None:
        return state, {}
    return origin.into(state, parts), {"init_from": origin.to_json(parts)}


def _jit_step(
    task: Task, tx: Any, recipe: Recipe, state: TrainState, steps_per_epoch: int
) -> Callable:
    step = functools.partial(
        train_step,
        model=task.model,
        loss=recipe.build_loss(task.dataset.data_range),
        tx=tx,
        clip=task.clip,
        seed=recipe.seed,
        ema_decay=recipe.ema_decay,
        coarse_weight=recipe.coarse_weight,
        sampling=recipe.build_sampling(steps_per_epoch),
    )
    shardings = jax.tree.map(lambda leaf: leaf.sharding, state)
    return jax.jit(step, donate_argnums=0, out_shardings=(shardings, None))


def _check_finite(pending: list, last_checkpoint: int | None) -> None:
    for step, ids, scalars in pending:
        if not np.isfinite(scalars["loss"]):
            good = f"step {last_checkpoint}" if last_checkpoint is not None else "none yet"
            raise DivergedError(
                f"loss={float(scalars['loss'])} at step {step}, clips {ids.tolist()}; last good "
                f"checkpoint: {good}. A lower learning_rate or clip_norm=1 usually helps."
            )


def _validate(
    task: Task, state: TrainState, recipe: Recipe, batches: Callable, frames: jax.Array
) -> dict[str, float]:
    """What chooses the checkpoint, and what the Gaussians of the current batch look like."""
    figures: dict[str, float] = {}
    if task.selection is not None:
        name, source = task.selection
        evaluator = metrics.Evaluator(("mse",))
        evaluation.evaluate(
            evaluation.predictor(task.model, state.variables()),
            functools.partial(batches, source),
            clip=task.clip,
            batch_size=recipe.batch_size,
            evaluator=evaluator,
        )
        figures[f"{name}_mse"] = evaluator.compute()["mse"]
    if task.model.adapter is not None:
        output = evaluation.apply(
            task.model,
            state.variables(),
            task.clip.split(frames)[0],
            task.clip.horizon,
            method="decompose",
        )
        described = diagnostics.describe(state.variables()["params"], output)
        figures |= {name: float(value) for name, value in described.items()}
    return figures
