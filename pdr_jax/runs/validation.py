"""What is measured at each checkpoint of a run."""

import functools

import jax

import pdr_datasets
from pdr_jax import diagnostics, metrics
from pdr_jax.evaluation import predictors
from pdr_jax.evaluation.measuring import stream
from pdr_jax.sharding import mesh_of, on_host, shard_whole, traced_for
from pdr_jax.task import Task
from pdr_jax.train import TrainState


def validate(
    task: Task,
    state: TrainState,
    frames: jax.Array,
) -> dict[str, float]:
    """The error that chooses the checkpoint, and statistics of a batch's Gaussians.

    Args:
      task: what is trained.
      state: the state after the step.
      frames: the step's batch on its devices, (B, T + T', H, W, C), stored units.

    Returns:
      "SPLIT_mse" of `task.selection`, if there is one, and with an adapter the figures of
      `pdr_jax.diagnostics.describe`.
    """
    figures: dict[str, float] = {}
    variables = state.variables()
    mesh = mesh_of(frames)
    if task.selection is not None:
        name, source = task.selection
        evaluator = metrics.Evaluator(("mse",), missing=task.clip.fill is not None)
        stream(
            traced_for(mesh, predictors.predictor(task.model, variables)),
            functools.partial(pdr_datasets.batches, source, task.recipe.batch_size),
            clip=task.clip,
            batch_size=task.recipe.batch_size,
            evaluator=evaluator,
            place=functools.partial(shard_whole, mesh),
        )
        figures[f"{name}_mse"] = evaluator.compute()["mse"]
    if task.model.adapter is not None:
        observed, _ = task.clip.split(frames)
        decompose = traced_for(mesh, predictors.apply)
        output = decompose(task.model, variables, observed, task.clip.horizon, method="decompose")
        described = on_host(diagnostics.describe(variables["params"], output))
        figures |= {name: float(value) for name, value in described.items()}
    return figures
