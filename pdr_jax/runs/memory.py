"""Whether a training fits in memory, told from shapes alone, before anything is read or compiled.

What is counted is a lower bound: activations, of which only a compiled program knows, come on top.
"""

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax

from pdr_jax.recipes import Recipe

_CGROUP = Path("/sys/fs/cgroup/memory.max")  # "max" or bytes: Linux's limit of a container


def available() -> int:
    """Bytes of memory of a device; of the machine, or of its container, where that is a CPU."""
    device = jax.local_devices()[0]
    stats = device.memory_stats() if device.platform != "cpu" else None
    if stats and "bytes_limit" in stats:
        return int(stats["bytes_limit"])
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _CGROUP.read_text().strip() if _CGROUP.exists() else ""
    return min(machine, int(limit)) if limit.isdecimal() else machine


def check_batch(recipe: Recipe, frame_shape: tuple[int, int, int]) -> None:
    """Refuses batches whose clips, in float32, and Gaussians alone are larger than the memory.

    Args:
      recipe: of the training.
      frame_shape: (H, W, C).

    Raises:
      ValueError: a device's share of a batch is too large.
    """
    frames = (recipe.in_length + recipe.out_length) * math.prod(frame_shape)
    count = recipe.predgs.num_gaussians if recipe.adapter != "none" else 0
    clip = 4 * (frames + recipe.out_length * count * (5 + frame_shape[-1]))
    clips = math.ceil(recipe.batch_size / recipe.accumulate / _sharing(recipe))
    if clips * clip > available():
        height, width, channels = frame_shape
        raise ValueError(
            f"batch_size={recipe.batch_size}: expected clips that fit in {_gib(available())} of "
            f"memory; {clips} on a device take {_gib(clips * clip)} with in_length="
            f"{recipe.in_length}, out_length={recipe.out_length}, {count} Gaussians and frames of "
            f"{height}x{width}x{channels}, without the model"
        )


def check_state(recipe: Recipe, state: Any) -> None:
    """Refuses a model that does not fit in memory with its gradients and its optimiser's state.

    Args:
      recipe: of the training.
      state: a `pdr_jax.train.TrainState` of arrays, or of `jax.ShapeDtypeStruct`.

    Raises:
      ValueError: the model is too large.
    """
    kept = _bytes(state) // (_sharing(recipe) if recipe.shard_parameters else 1)
    needed = kept + _bytes(state.params)
    if needed > available():
        parts = {name: _bytes(part) for name, part in state.params.items()}
        field = "backbone_options" if max(parts, key=parts.__getitem__) == "backbone" else "predgs"
        raise ValueError(
            f"{field}: expected a model that fits in {_gib(available())} of memory; parameters, "
            f"gradients and the optimiser's state take {_gib(needed)}"
        )


@contextlib.contextmanager
def told(batch_size: int) -> Iterator[None]:
    """Turns a device's lack of memory within the block into a ValueError about the batch."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        first, *_ = str(error).splitlines()
        raise ValueError(
            f"batch_size={batch_size}: expected what fits in {_gib(available())} of memory, with "
            f"accumulate or remat if need be: {first}"
        ) from error


def _sharing(recipe: Recipe) -> int:
    """The devices that share a batch, each with memory of its own: those of a CPU have the same."""
    if jax.local_devices()[0].platform == "cpu":
        return 1
    return recipe.devices or jax.device_count()


def _bytes(tree: Any) -> int:
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def _gib(size: int) -> str:
    return f"{size / 2**30:.3g} GiB"
