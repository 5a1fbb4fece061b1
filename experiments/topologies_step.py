"""Compiles one whole training step for devices that need not be here.

Needed beside JAX, of the versions that go with it: for TPUs the package libtpu, for GPUs what
`pallas_kernels.tools.aot` needs.
"""

import contextlib
import dataclasses
import functools
import os
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental import topologies
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

import pdr_datasets
from experiments.collectives import read, summed
from pallas_kernels.tools import aot
from pdr_jax import recipes
from pdr_jax.benchmarks import BENCHMARKS
from pdr_jax.recipes import Recipe
from pdr_jax.runs.fit import jit_step
from pdr_jax.sharding import own_mesh, state_shardings
from pdr_jax.task import Task, open_task, optimisation
from pdr_jax.train import init_state

SMALL = {"hid_S": 8, "hid_T": 16, "N_S": 2, "N_T": 2}
"""Hyperparameters of a TAU that compiles fast; it stands in the place of TaxiBJ's."""


class Topology(NamedTuple):
    """Some devices, all of one kind.

    Attributes:
      platform: "cpu", "cuda" or "tpu".
      devices: how many.
      layout: of TPUs, their generation and the sides of the grid, such as "v5e:2x2".
      kernel: what draws Gaussians and compares frames; a GPU's own stands first there.
    """

    platform: str
    devices: int
    layout: str = ""
    kernel: str = "xla"


TOPOLOGIES = {
    "8 CPU devices": Topology("cpu", 8),
    "8 x H200": Topology("cuda", 8, kernel="pallas_triton"),
    "v5e 2x2": Topology("tpu", 4, "v5e:2x2"),
    "v5e 4x4": Topology("tpu", 16, "v5e:4x4"),
}


class Case(NamedTuple):
    """A step: of TAU on a benchmark's frames, with an adapter or "none", on a topology.

    Attributes:
      data: "taxibj", "kth", or "small": narrow TAU on TaxiBJ's frames.
      adapter: as in a recipe.
      topology: a key of TOPOLOGIES.
      clips: a device has at a time.
      remat: whether activations are computed again in the backward pass.
    """

    data: str
    adapter: str
    topology: str
    clips: int
    remat: bool = False

    @property
    def name(self) -> str:
        """In words."""
        remat = ", remat" if self.remat else ""
        return f"{self.data} {self.adapter}, {self.topology}, {self.clips} clips a device{remat}"

    @property
    def recipe(self) -> Recipe:
        """Its settings, as published, on all devices."""
        topology = TOPOLOGIES[self.topology]
        fields: dict[str, Any] = {"renderer": topology.kernel, "ssim": topology.kernel}
        if self.remat:
            fields["remat"] = True
        recipe = recipes.create(
            "taxibj" if self.data == "small" else self.data,
            adapter=self.adapter,
            batch_size=self.clips * topology.devices,
            **fields,
        )
        if self.data == "small":
            options = {**recipe.backbone_options, **SMALL}
            recipe = dataclasses.replace(recipe, backbone_options=options)
        return recipe


def missing(topology: Topology) -> str | None:
    """What keeps steps from being compiled for a topology here, or None."""
    if topology.platform == "cuda":
        return aot.missing()
    if topology.platform == "tpu" and not _libtpu():
        return "libtpu is not installed"
    return None


def environment(topology: Topology) -> dict[str, str]:
    """The variables that a process has to have before it imports JAX."""
    variables = {"JAX_PLATFORMS": "cpu"}
    if topology.platform == "cpu":
        flags = os.environ.get("XLA_FLAGS", "")
        count = f"--xla_force_host_platform_device_count={topology.devices}"
        variables["XLA_FLAGS"] = f"{flags} {count} --xla_backend_optimization_level=0"
    elif topology.platform == "tpu":
        variables |= {
            "TPU_LIBRARY_PATH": _libtpu(),
            "TPU_ACCELERATOR_TYPE": f"v5litepod-{topology.devices}",
            "TPU_SKIP_MDS_QUERY": "1",
            "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",  # two processes may compile at once
            "TPU_WORKER_HOSTNAMES": "localhost",
            "TPU_WORKER_ID": "0",
        }
    else:
        variables["JAX_SKIP_CUDA_CONSTRAINTS_CHECK"] = "1"
    return variables


def mesh_of(topology: Topology) -> Mesh:
    """The devices as training lays them out; the process has to have `environment`."""
    if topology.platform == "cpu":
        devices = jax.devices()[: topology.devices]
    elif topology.platform == "tpu":
        devices = topologies.get_topology_desc(topology.layout, "tpu").devices
    else:
        devices = topologies.get_topology_desc(
            topology_name="",
            platform="cuda",
            target_config=aot.DEVICES["sm_90a"].config,
            topology=f"1x1x{topology.devices}",
        ).devices
    return Mesh(np.array(devices), ("data",), axis_types=(AxisType.Auto,))


def lowered(task: Task, mesh: Mesh) -> jax.stages.Lowered:
    """The training step of a task, of arrays that lie on a mesh as those of a run do."""
    recipe, clip = task.recipe, task.clip
    plan = optimisation(recipe, samples=recipe.batch_size)
    shape = (recipe.batch_size, clip.in_length + clip.horizon, *task.dataset.frame_shape)
    over_clips = NamedSharding(mesh, PartitionSpec("data"))
    frames = jax.ShapeDtypeStruct(shape, np.uint8, sharding=over_clips)
    make = functools.partial(
        init_state, task.model, plan.tx, clip=clip, seed=recipe.seed, ema=recipe.ema_decay > 0
    )
    here = mesh.devices.flat[0]
    # The kernels ask JAX's default device whether they serve it.
    absent = jax.default_device(here) if here.platform == "gpu" else contextlib.nullcontext()
    with absent:
        shapes = jax.eval_shape(make, frames)
        state = jax.tree.map(
            lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
            shapes,
            state_shardings(mesh, shapes),
        )
        return jit_step(task, plan, state, mesh).lower(state, frames)


def task_of(case: Case) -> Task:
    """The task of a case, on a few clips of noise."""
    recipe = case.recipe
    shape = (recipe.in_length + recipe.out_length, *BENCHMARKS[recipe.dataset].frame_shape)
    noise = np.random.default_rng(0).integers(0, 255, (2, *shape), np.uint8, endpoint=True)
    dataset = pdr_datasets.load(
        "arrays", array=noise, in_length=recipe.in_length, out_length=recipe.out_length
    )
    return open_task(recipe, dataset)


def compile_case(case: Case) -> dict[str, Any]:
    """Compiles a step, and returns what it needs and does; figures are those of one device.

    Raises:
      Exception: the step does not compile: what JAX or XLA raises.
    """
    task, mesh = task_of(case), mesh_of(TOPOLOGIES[case.topology])
    start = time.monotonic()
    step = lowered(task, mesh)
    traced = time.monotonic()
    options = {"xla_gpu_autotune_level": 0} if mesh.devices.flat[0].platform == "gpu" else None
    compiled = step.compile(options)
    seconds = time.monotonic() - traced
    program = read(compiled.as_text() or "")
    memory: Any = compiled.memory_analysis()
    cost = compiled.cost_analysis()  # of a GPU that is not here, None
    cost = cost or {"flops": _flops(task, mesh.size), "bytes accessed": program.traffic}
    return {
        "memory_bytes": {
            "arguments": memory.argument_size_in_bytes,
            "outputs": memory.output_size_in_bytes - memory.alias_size_in_bytes,
            "temporary": memory.temp_size_in_bytes,
        },
        "collectives": summed(program.collectives),
        "loops": program.loops,
        "custom_calls": dict(program.custom_calls),
        "flops": cost["flops"],
        "bytes_accessed": cost["bytes accessed"],
        "trace_seconds": round(traced - start, 1),
        "compile_seconds": round(seconds, 1),
    }


def _flops(task: Task, devices: int) -> float:
    """Of one device's part of a step, as XLA counts them before it optimises for a device."""
    recipe = dataclasses.replace(
        task.recipe,
        batch_size=task.recipe.batch_size // devices,
        renderer="xla",
        ssim="xla",
    )
    model = recipe.build(task.dataset.frame_shape)
    cost: Any = lowered(task._replace(recipe=recipe, model=model), own_mesh()).cost_analysis()
    return cost["flops"]


def _libtpu() -> str:
    """Where the library for TPUs is, or ""."""
    if path := os.environ.get("TPU_LIBRARY_PATH"):
        return path
    found = find_spec("libtpu")
    folders = (found and found.submodule_search_locations) or ()
    return next((str(x) for f in folders if (x := Path(f) / "libtpu.so").exists()), "")
