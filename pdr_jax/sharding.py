"""The mesh of devices that a training step runs on: one CPU, or many GPUs or TPUs.

It has two axes. "data" splits the batch. "model" splits the last axis of large arrays (the output
channels of kernels) in parameters, averages and optimiser state.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec


def make_mesh(devices: int = 0, model: int = 1) -> Mesh:
    """A ("data", "model") mesh.

    Args:
      devices: how many devices; 0 takes all.
      model: how many of these share a copy of the parameters.

    Raises:
      ValueError: there are fewer devices, or `model` does not divide their number.
    """
    available = jax.devices()
    devices = devices or len(available)
    if not 1 <= devices <= len(available):
        raise ValueError(f"devices={devices}: expected 1 to {len(available)}")
    if model < 1 or devices % model:
        raise ValueError(f"model_parallel={model}: expected a divisor of the {devices} devices")
    return jax.make_mesh(
        (devices // model, model),
        ("data", "model"),
        (AxisType.Auto,) * 2,
        devices=available[:devices],
    )


def state_shardings(mesh: Mesh, state: Any) -> Any:
    """A NamedSharding for each array of a train state; `state` may hold shapes only."""

    def sharding(leaf: Any) -> NamedSharding:
        shape = np.shape(leaf)
        parts = mesh.shape["model"]
        if parts > 1 and len(shape) >= 2 and shape[-1] % parts == 0:
            return NamedSharding(mesh, PartitionSpec(*(None,) * (len(shape) - 1), "model"))
        return NamedSharding(mesh, PartitionSpec())

    return jax.tree.map(sharding, state)


def shard_batch(mesh: Mesh, frames: np.ndarray) -> jax.Array:
    """Puts a batch on the devices.

    Args:
      mesh: the devices.
      frames: this process's part of the batch, (B, ...).

    Returns:
      The global array, split over "data".

    Raises:
      ValueError: the devices cannot share the batch evenly.
    """
    parts = mesh.shape["data"]
    if frames.shape[0] * jax.process_count() % parts:
        raise ValueError(
            f"batch_size={frames.shape[0] * jax.process_count()}: expected a multiple of the "
            f"{parts} devices that share the batch"
        )
    sharding = NamedSharding(mesh, PartitionSpec("data"))
    return jax.make_array_from_process_local_data(sharding, frames)


def make_gather(mesh: Mesh, frames: np.ndarray) -> Callable[[np.ndarray], jax.Array]:
    """`shard_batch` for clips whose frames are on the devices already.

    Every device of the mesh gets a copy of the frames at once.

    Args:
      mesh: the devices.
      frames: (N, H, W, C), the same in every process.

    Returns:
      A function of this process's part of a batch, (B, T) positions in `frames`. It returns the
      global clips, (B, T, H, W, C), split over "data".
    """
    resident = jax.make_array_from_process_local_data(NamedSharding(mesh, PartitionSpec()), frames)

    def gather(frames: jax.Array, positions: jax.Array) -> jax.Array:
        return frames.at[positions].get(mode="promise_in_bounds")

    jitted = jax.jit(gather, out_shardings=NamedSharding(mesh, PartitionSpec("data")))
    return lambda positions: jitted(resident, shard_batch(mesh, positions))
