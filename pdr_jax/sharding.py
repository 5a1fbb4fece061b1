"""The mesh of devices that a training step runs on: one CPU, or many GPUs or TPUs.

Its one axis, "data", splits the batch and, where asked for, large arrays of parameters, averages
and optimiser state. Nothing splits activations: convolutions of the field's predictors would send
them around in every layer, many times the bytes of the gradients.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

SPLIT_FROM = 2**12  # numbers in an array; gathering a smaller one takes longer than it saves


def make_mesh(devices: int = 0) -> Mesh:
    """A mesh with the axis "data".

    Args:
      devices: how many devices; 0 takes all, and several processes always take all.

    Raises:
      ValueError: there are fewer devices, or a process would have none.
    """
    available, processes = jax.devices(), jax.process_count()
    devices = devices or len(available)
    if not 1 <= devices <= len(available):
        raise ValueError(f"devices={devices}: expected 1 to {len(available)}")
    if processes > 1 and devices < len(available):
        raise ValueError(
            f"devices={devices}: expected all {len(available)} of the {processes} processes, or 0"
        )
    return jax.make_mesh((devices,), ("data",), (AxisType.Auto,), devices=available[:devices])


def own_mesh() -> Mesh:
    """A mesh of this process's first device alone."""
    return Mesh(np.array(jax.local_devices()[:1]), ("data",), axis_types=(AxisType.Auto,))


def own_copy(tree: Any) -> Any:
    """A tree's arrays, whole, for this process alone; as they are where it has no others.

    All processes have to call it together.
    """
    return tree if jax.process_count() == 1 else on_host(tree)


def mesh_of(array: jax.Array) -> Mesh:
    """The mesh that an array lies on."""
    sharding = array.sharding
    assert isinstance(sharding, NamedSharding)
    assert isinstance(sharding.mesh, Mesh)
    return sharding.mesh


def state_shardings(mesh: Mesh, state: Any, *, split: bool = False) -> Any:
    """A NamedSharding for each array of a train state.

    Args:
      mesh: the devices.
      state: its arrays, or their shapes.
      split: whether every device keeps only its part of the large arrays, cut along their largest
        axis that "data" divides. A step gathers the parameters that it uses.
    """
    parts = mesh.shape["data"]

    def sharding(leaf: Any) -> NamedSharding:
        shape = np.shape(leaf)
        axes = [axis for axis, size in enumerate(shape) if size % parts == 0]
        if not split or math.prod(shape) < SPLIT_FROM or not axes:
            return NamedSharding(mesh, PartitionSpec())
        cut = max(axes, key=shape.__getitem__)
        return NamedSharding(mesh, PartitionSpec(*(None,) * cut, "data"))

    return jax.tree.map(sharding, state)


def averaged_over_devices(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """The mean over the devices of `function`, each on its own part of the batch.

    XLA's partitioner sums gradients where they arise: once for each time step of a recurrent
    backbone, each micro-batch and each parameter, in the backbone's dtype. In a program that is
    traced for a mesh (`traced_for`), this sums them once, in their own. What crosses clips inside
    has to say so: `mean_over_devices`, `drawn_for_clips`.

    Args:
      function: of a tree that every device has and a tree of arrays whose leading axis is the
        batch, to a tree of means over clips.
    """

    def mean(everywhere: Any, clips: Any) -> Any:
        return jax.lax.pmean(function(everywhere, clips), "data")

    def run(everywhere: Any, clips: Any) -> Any:
        mesh = jax.sharding.get_abstract_mesh()
        if dict(mesh.shape).get("data", 1) == 1:
            return function(everywhere, clips)
        return jax.shard_map(
            mean,
            in_specs=(PartitionSpec(), PartitionSpec("data")),
            out_specs=PartitionSpec(),
            check_vma=False,
        )(everywhere, clips)

    return run


def clips_apart() -> int:
    """The devices that share a batch, in what is traced for each of them alone; 1 elsewhere."""
    mesh = jax.sharding.get_abstract_mesh()
    return mesh.shape["data"] if AxisType.Manual in mesh.axis_types else 1


def mean_over_devices(own: jax.Array) -> jax.Array:
    """The mean of each device's mean over its own clips; `own` where there is one batch for all."""
    return jax.lax.pmean(own, "data") if clips_apart() > 1 else own


def drawn_for_clips(draw: Callable[[tuple[int, ...]], jax.Array], shape: tuple[int, ...]) -> Any:
    """draw(shape), the same for each clip however many devices share the batch, the first axis."""
    clips, *rest = shape
    parts = clips_apart()
    if parts == 1:
        return draw(shape)
    own = jax.lax.axis_index("data") * clips
    return jax.lax.dynamic_slice_in_dim(draw((parts * clips, *rest)), own, clips)


def on_own_clips(function: Callable) -> Callable:
    """`function` on each device's own part of the batch, as it lies over "data".

    XLA's partitioner gathers a batch before a loop over its clips. In a program that is traced for
    a mesh (`traced_for`), this keeps every device to its own clips; elsewhere, and where a device
    sees no others as in `averaged_over_devices`, it does nothing.

    Args:
      function: of trees of arrays whose leading axis is the batch, to a tree of such arrays.
    """

    def run(*trees: Any) -> Any:
        mesh = jax.sharding.get_abstract_mesh()
        parts = dict(mesh.shape).get("data", 1)
        clips = jax.tree.leaves(trees)[0].shape[0]
        if parts == 1 or AxisType.Manual in mesh.axis_types or clips % parts:
            return function(*trees)
        own = PartitionSpec("data")
        return jax.shard_map(function, in_specs=own, out_specs=own, check_vma=False)(*trees)

    return run


def traced_for(mesh: Mesh, function: Callable) -> Callable:
    """`function`, which is then jitted, for arrays that lie on a mesh; see `on_own_clips`."""

    def traced(*args: Any, **kwargs: Any) -> Any:
        with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
            return function(*args, **kwargs)

    return traced


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
    sharding = _over_clips(mesh, len(frames) * jax.process_count())
    return jax.make_array_from_process_local_data(sharding, frames)


def shard_whole(mesh: Mesh, batch: np.ndarray) -> jax.Array:
    """As `shard_batch`, of a whole batch that every process has."""
    sharding = _over_clips(mesh, len(batch))
    return jax.make_array_from_callback(batch.shape, sharding, lambda part: batch[part])


def _over_clips(mesh: Mesh, clips: int) -> NamedSharding:
    parts = mesh.shape["data"]
    if clips % parts:
        raise ValueError(
            f"batch_size={clips}: expected a multiple of the {parts} devices that share the batch"
        )
    return NamedSharding(mesh, PartitionSpec("data"))


def on_host(tree: Any) -> Any:
    """NumPy copies of a tree's arrays; whole in every process, wherever their parts lie.

    All processes have to call it together.
    """
    return jax.tree.map(np.asarray, jax.tree.map(_whole, tree))


def _whole(array: Any) -> Any:
    if not isinstance(array, jax.Array) or array.is_fully_addressable or array.is_fully_replicated:
        return array
    everywhere = NamedSharding(mesh_of(array), PartitionSpec())
    return jax.jit(lambda x: x, out_shardings=everywhere)(array)


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
