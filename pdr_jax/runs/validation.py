"""What is measured at each checkpoint of a run."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import pdr_datasets
from pdr_jax import diagnostics, metrics
from pdr_jax.evaluation import predictors
from pdr_jax.evaluation.measuring import stream
from pdr_jax.pdr import PDR
from pdr_jax.sharding import mesh_of, on_host, shard_whole, traced_for
from pdr_jax.task import Task
from pdr_jax.train import ClipSpec, TrainState


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
      "SPLIT_mse" of `task.selection`, if there is one, and "SPLIT_denoising", the mean denoising
      loss of its clips, if the model draws futures; with PredGS the figures of
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
        if task.model.probabilistic:
            figures[f"{name}_denoising"] = _denoising(task, variables, source, mesh)
    if task.model.adapter is not None:
        observed, _ = task.clip.split(frames)
        decompose = traced_for(mesh, predictors.apply)
        output = decompose(task.model, variables, observed, task.clip.horizon, method="decompose")
        described = on_host(diagnostics.describe(variables["params"], output))
        figures |= {name: float(value) for name, value in described.items()}
    return figures


def _denoising(
    task: Task, variables: Mapping[str, Any], source: pdr_datasets.Source, mesh: jax.sharding.Mesh
) -> float:
    """The mean denoising loss of a split's clips, with the same draws at every call."""
    size, losses, counts = task.recipe.batch_size, [], []
    for index, batch in enumerate(pdr_datasets.batches(source, size)):
        frames, valid = predictors.padded(np.asarray(batch["frames"]), size)
        placed = shard_whole(mesh, frames), shard_whole(mesh, valid)
        loss = traced_for(mesh, _sown)(task.model, variables, task.clip, *placed, index)
        losses.append(float(loss))
        counts.append(valid.sum())
    return float(np.average(losses, weights=counts))


@functools.partial(jax.jit, static_argnames="model")
def _sown(
    model: PDR,
    variables: Mapping[str, Any],
    clip: ClipSpec,
    frames: jax.Array,
    valid: jax.Array,
    index: int,
) -> jax.Array:
    """The losses that a model sows for the clips (B, T + T', H, W, C) that are `valid` (B,)."""
    observed, target = clip.split(frames)
    _, sown = model.apply(
        variables,
        observed,
        clip.horizon,
        target=jnp.where(valid[:, None, None, None, None], target, jnp.nan),
        method="decompose",
        rngs={"dropout": jax.random.fold_in(jax.random.key(0), index)},
        mutable=["losses"],
    )
    return jnp.asarray(sum(jax.tree.leaves(sown)))
