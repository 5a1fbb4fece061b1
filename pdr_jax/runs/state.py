"""The train state of a run: made at its start, or read from its checkpoints."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import pdr_datasets
from pdr_jax.pdr import PDR
from pdr_jax.recipes import Recipe
from pdr_jax.runs.digests import first_not_finite
from pdr_jax.runs.folder import read_recipe
from pdr_jax.runs.memory import check_state
from pdr_jax.runs.saved import Saved
from pdr_jax.runs.units import Choice, in_units_of
from pdr_jax.runs.warm_start import Origin
from pdr_jax.sharding import make_mesh, own_mesh, shard_batch, state_shardings, traced_for
from pdr_jax.task import Task, open_dataset, open_task, optimisation
from pdr_jax.train import TrainState, init_state


def start(
    task: Task,
    tx: optax.GradientTransformation,
    frames: np.ndarray,
    mesh: jax.sharding.Mesh,
    origin: Origin | None,
) -> tuple[TrainState, dict[str, Any]]:
    """The initial state of a run.

    Args:
      task: what is trained.
      tx: the optimiser.
      frames: this process's part of a batch of clips, (B, T + T', H, W, C), stored units.
      mesh: the devices that the state is laid out over.
      origin: the run to copy parameters from, if there is one.

    Returns:
      The state, and the entries of data.json that describe its origin; {} without one.

    Raises:
      ValueError: the backbone of `origin` does not match, or the model does not fit in memory.
    """
    make = _initial(task, tx)
    shapes = jax.eval_shape(make, frames)
    check_state(task.recipe, shapes)
    parts = origin.parts(task.recipe, shapes) if origin else ()
    # `make` runs once; on a CPU, optimising it in LLVM takes longer than running it.
    options = {"xla_backend_optimization_level": 0} if jax.default_backend() == "cpu" else None
    shardings = state_shardings(mesh, shapes, split=task.recipe.shard_parameters)
    compiled = jax.jit(traced_for(mesh, make), out_shardings=shardings, compiler_options=options)
    state = compiled(shard_batch(mesh, frames))
    if origin is None:
        return state, {}
    return origin.into(state, parts), {"init_from": origin.to_json(parts)}


def load(
    run: Path | str,
    *,
    dataset: pdr_datasets.VideoDataset | None = None,
    model: PDR | None = None,
    which: str | int = "best",
    recipe: Recipe | None = None,
    units: Choice | None = None,
) -> tuple[Task, TrainState]:
    """The task and a saved state of a run.

    Args:
      run: the run folder.
      dataset: an opened data set, in place of the one that the recipe names.
      model: a model, in place of the one that the recipe describes.
      which: the "best" or the "last" state, or that of a step.
      recipe: a recipe, in place of the run's own; it may have another horizon or data set.
      units: "run" or "data", see `pdr_jax.runs.units`.

    Raises:
      FileNotFoundError: `run` is no run folder or has no checkpoint, or the data set has not been
        prepared.
      ValueError: the checkpoint is damaged, of another model or not finite, or the data have other
        units than the run.
    """
    recipe = (recipe or read_recipe(run)).portable()
    dataset = in_units_of(Path(run), dataset or open_dataset(recipe), units)
    task = open_task(recipe, dataset, model)
    # The optimiser's state has the same structure for any number of clips.
    tx = optimisation(task.recipe, samples=task.recipe.batch_size).tx
    length = task.clip.in_length + task.clip.horizon
    frames = jax.ShapeDtypeStruct((1, length, *task.dataset.frame_shape), jnp.float32)
    like = jax.eval_shape(_initial(task, tx), frames)
    mesh = own_mesh() if jax.process_count() == 1 else make_mesh()
    shardings = state_shardings(mesh, like)
    like = jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        like,
        shardings,
    )
    state, _ = Saved(Path(run) / "checkpoints").restore(like, which)
    if name := first_not_finite(state.variables()):
        raise ValueError(
            f"{run}: {name} of step {int(state.step)} is not finite; nothing it predicts is"
        )
    return task, state


def _initial(task: Task, tx: optax.GradientTransformation) -> Callable[[Any], TrainState]:
    """A function from clips to the initial state."""
    recipe = task.recipe
    return functools.partial(
        init_state, task.model, tx, clip=task.clip, seed=recipe.seed, ema=recipe.ema_decay > 0
    )
