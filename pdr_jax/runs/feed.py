"""The clips of a run in batches."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

import pdr_datasets
from pdr_jax.sharding import make_gather, shard_batch
from pdr_jax.task import Task


def clip_batches(task: Task, source: pdr_datasets.Source, **options: Any) -> Any:
    """Batches of this process's clips."""
    return pdr_datasets.batches(
        source,
        batch_size=task.recipe.batch_size,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
        **options,
    )


def feed(task: Task, mesh: jax.sharding.Mesh) -> tuple[Any, Callable[[np.ndarray], jax.Array]]:
    """Endless training batches, and a function that puts a batch's "frames" on the devices."""
    recipe, source = task.recipe, task.train
    place: Callable[[np.ndarray], jax.Array] = functools.partial(shard_batch, mesh)
    if recipe.resident_mib:
        source = pdr_datasets.Resident(source, recipe.resident_mib)
        place = make_gather(mesh, source.frames)
    batches = clip_batches(
        task,
        source,
        seed=recipe.seed,
        shuffle=True,
        num_epochs=None,
        drop_remainder=True,
        augment=pdr_datasets.augmentation(recipe.dataset) if recipe.augment else None,
    )
    return batches, place
