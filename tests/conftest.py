"""Settings of every test, made before jax is imported, and a finished run that many tests share."""

import gc
import os
from pathlib import Path

# Eight simulated devices, so that sharding is tested on one CPU. Most of the suite's time is
# compilation, and what is compiled runs once: LLVM need not optimise it.
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "")
    + " --xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0"
)
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Nothing is left outside the repository's .cache and the temporary folder.
CACHE = Path(__file__).parent.parent / ".cache"
os.environ.setdefault("MPLCONFIGDIR", str(CACHE / "matplotlib"))

import jax
import pytest
from jaxtyping import install_import_hook

# Compiled programs outlive the session: a second run of the suite is several times faster.
jax.config.update("jax_compilation_cache_dir", str(CACHE / "jax"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)
# Traces are millions of objects that live on: looking through them for garbage takes long.
gc.set_threshold(100_000, 50, 100)
# A shape error should raise where it happens, not broadcast into something plausible.
jax.config.update("jax_numpy_rank_promotion", "raise")

# Shapes in signatures are checked here only: users pay nothing for them.
install_import_hook(["pdr_jax", "pallas_kernels"], "shape_checks.check")

import dataclasses

from small_runs import SMALL, moving_blobs

import pdr_datasets
from pdr_jax import recipes
from pdr_jax.runs.fit import fit
from pdr_jax.task import open_task


@pytest.fixture(scope="session")
def small_dataset():
    return pdr_datasets.load("arrays", array=moving_blobs(), in_length=2, out_length=2)


@pytest.fixture(scope="session")
def small_recipe():
    """The recipe of a run that takes seconds: TAU with PDR."""
    made = recipes.create("arrays", **SMALL)
    predgs = dataclasses.replace(made.predgs, hidden=4)
    return dataclasses.replace(made, predgs=predgs)


@pytest.fixture(scope="session")
def finished(tmp_path_factory, small_recipe, small_dataset):
    """A finished run of `small_recipe`: its folder, task and last state."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    shown = []
    task = open_task(small_recipe, small_dataset)
    state = fit(task, folder, report=shown.append)
    assert [line["step"] for line in shown if "loss" in line] == [1, 2, 3, 4]
    return folder, task, state
