"""Makes a function of independent frames batch under `jax.vmap` and shard under `jax.jit`.

An implementation loops over frames and Gaussians. Neither JAX's batching rules nor XLA's
partitioner see through such loops: vmapped updates at data-dependent places become slow scatters,
and a loop over a sharded axis starts with an all-gather. Frames do not depend on each other, which
makes both unnecessary; this file tells JAX so.
"""

from collections.abc import Callable
from functools import cache, partial

import jax
from jax.custom_batching import custom_vmap
from jax.experimental.custom_partitioning import custom_partitioning
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from pallas_kernels.quiet import quiet


def independent_frames(function: Callable) -> Callable:
    """Wraps `function`, whose every argument and result has the frames as its leading axis.

    A vmapped axis is merged into the frames. When the frames are sharded, each device runs
    `function` on its own; all other axes are gathered first if they are sharded.

    Args:
        function: of positional (F, ...) arrays, to an (F, ...) array or a tuple of them. It is not
            differentiated: the result needs a VJP, see `differentiable`.
    """
    function = quiet(function)

    @custom_partitioning
    def sharded(*args):
        return function(*args)

    def partition(mesh, arg_shapes, result_shape):
        if mesh.empty:  # jax.set_mesh, and no array of the program names it: the rule's own will do
            own = [jax.tree.map(lambda x: x.sharding, y) for y in (result_shape, arg_shapes)]
            return mesh, function, *own
        frames = _frames_axis(arg_shapes)

        def keep(shape):
            return NamedSharding(mesh, PartitionSpec(frames, *(None,) * (len(shape.shape) - 1)))

        return mesh, function, jax.tree.map(keep, result_shape), jax.tree.map(keep, arg_shapes)

    sharded.def_partition(partition=partition, sharding_rule=_sharding_rule)

    @custom_vmap
    def batched(*args):
        mesh, frames = _explicit_sharding(args)
        if mesh is None:
            return sharded(*args)
        spec = PartitionSpec(frames)
        return jax.shard_map(function, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)(
            *args
        )

    @batched.def_vmap
    def merge(size, in_batched, *args):
        args = tuple(
            x if mapped else jax.numpy.broadcast_to(x[None], (size, *x.shape))
            for x, mapped in zip(args, in_batched, strict=True)
        )
        out = batched(*(x.reshape(-1, *x.shape[2:]) for x in args))
        split = jax.tree.map(lambda y: y.reshape(size, -1, *y.shape[1:]), out)
        return split, jax.tree.map(lambda _: True, out)

    return jax.jit(batched)  # or every call outside jit would compile its loops again


def differentiable(forward: Callable, backward: Callable) -> Callable:
    """Joins two functions of independent frames by a VJP.

    Args:
        forward: (static, *arrays) -> out.
        backward: (static, *arrays, cotangent of out) -> cotangents of the arrays.

    Returns:
        static -> (*arrays -> out), made once for each value of `static`, which is hashable.
    """

    @cache
    def made(static):
        draw = independent_frames(partial(forward, static))
        pull = independent_frames(partial(backward, static))
        render = jax.custom_vjp(draw)
        render.defvjp(lambda *args: (draw(*args), args), lambda args, ct: pull(*args, ct))
        return render

    return made


def align_frames(arrays):
    """Shards the frames of all arrays like those of the first array that is sharded.

    Only on a mesh with Explicit axes, where shardings are part of types and have to agree. On
    other meshes XLA's partitioner does it.
    """
    mesh, frames = _explicit_sharding(arrays)
    if mesh is None:
        return arrays
    return jax.sharding.reshard(arrays, NamedSharding(mesh, PartitionSpec(frames)))


def _explicit_sharding(args):
    """The mesh, if it has Explicit axes, and those axes over which the frames lie."""
    for x in args:
        sharding = jax.typeof(x).sharding
        if AxisType.Explicit in sharding.mesh.axis_types and sharding.spec[0] is not None:
            return sharding.mesh, sharding.spec[0]
    return None, None


def _frames_axis(arg_shapes):
    """The mesh axes over which the first sharded argument's frames lie, or None."""
    for shape in jax.tree.leaves(arg_shapes):
        spec = shape.sharding.spec
        if len(spec) and spec[0] is not None:
            return spec[0]
    return None


def _sharding_rule(mesh, value_types, result_types):
    """Shardy's rule: factor "f" (frames) leads everywhere, every other axis is replicated."""
    del mesh
    replicated: list[str] = []

    def term(value):
        names = [f"r{len(replicated) + i}" for i in range(len(value.shape) - 1)]
        replicated.extend(names)
        return " ".join(["f", *names])

    rule = ", ".join(map(term, value_types)) + " -> " + ", ".join(map(term, result_types))
    return rule, {"need_replication_factors": tuple(replicated)}
