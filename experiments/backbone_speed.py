"""Time and memory of every backbone at the size it is published with on TaxiBJ (4 -> 4, 32x32x2).

    python -m experiments.backbone_speed

Each backbone runs in a process of its own. Measured: seconds of a forward pass and of a training
step (MSE, Adam), the least of a few; CPU seconds over all cores, which other work on the machine
disturbs less; seconds to compile the step; and the process's peak memory (on an accelerator: the
device's). Recurrent backbones take smaller batches, because their steps take minutes on a CPU.

`--beside COMMAND` measures another program, alternating with this one. The command is called with a
backbone's name and batch size and prints one JSON object, which is stored under "beside". In the
committed figures that is the PyTorch code of OpenSTL and PredFormer; the program that calls it is
not part of this repository.
"""

import functools
import json
import os
import resource
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro

from experiments import provenance
from pdr_datasets import Units
from pdr_jax import PDR, backbones, losses, recipes
from pdr_jax.backbones import size
from pdr_jax.backbones.base import FramePredictor
from pdr_jax.benchmarks import BENCHMARKS
from pdr_jax.files import write_json
from pdr_jax.train import ClipSpec, init_state, train_step

LENGTH, HORIZON = 4, 4


def measure(name: str, batch_size: int, repeats: int) -> dict[str, Any]:
    """One backbone, in this process."""
    shape = (LENGTH, *BENCHMARKS["taxibj"].frame_shape)
    options = recipes.create("taxibj", backbone=name, adapter="none").backbone_options
    module = backbones.create(name, shape, **options)
    model = PDR(module)
    clip = ClipSpec(LENGTH, HORIZON, Units(0.0, 1.0))
    tx = optax.adam(1e-3)
    rng = np.random.default_rng(0)
    frames = jnp.asarray(rng.uniform(size=(batch_size, LENGTH + HORIZON, *shape[1:])), jnp.float32)
    # It runs once: LLVM need not optimise it.
    quick = {"xla_backend_optimization_level": 0} if jax.default_backend() == "cpu" else None
    start = functools.partial(init_state, model, tx, clip=clip, seed=0)
    state = jax.jit(start, compiler_options=quick)(frames)

    apply = jax.jit(model.apply, static_argnames="horizon")
    predict = functools.partial(apply, state.variables(), frames[:, :LENGTH], horizon=HORIZON)
    forward = least(predict, repeats)

    step = jax.jit(
        functools.partial(train_step, model=model, loss=losses.create("mse"), tx=tx, clip=clip),
        donate_argnums=0,
    )
    started = time.perf_counter()
    compiled = step.lower(state, frames).compile()
    compile_seconds = time.perf_counter() - started
    holder = [state]

    def train() -> jax.Array:
        holder[0], logs = compiled(holder[0], frames)
        return logs["loss"]

    step_seconds, step_cpu_seconds = least(train, repeats)
    return {
        "parameters": size.parameters(module),
        "forward_seconds": forward[0],
        "forward_cpu_seconds": forward[1],
        "step_seconds": step_seconds,
        "step_cpu_seconds": step_cpu_seconds,
        "compile_seconds": compile_seconds,
        "peak_mib": peak_mib(),
    }


def least(call: Callable[[], Any], repeats: int) -> tuple[float, float]:
    """Seconds, and CPU seconds, of a call: the least of some after one that may compile."""
    jax.block_until_ready(call())
    seconds, cpu_seconds = [], []
    for _ in range(repeats):
        started, cpu_started = time.perf_counter(), time.process_time()
        jax.block_until_ready(call())
        seconds.append(time.perf_counter() - started)
        cpu_seconds.append(time.process_time() - cpu_started)
    return min(seconds), min(cpu_seconds)


def peak_mib() -> float:
    """The accelerator's peak, or on a CPU the process's."""
    statistics = jax.devices()[0].memory_stats() or {}
    if "peak_bytes_in_use" in statistics:
        return statistics["peak_bytes_in_use"] / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def last_json(command: list[str]) -> dict[str, Any]:
    """The JSON object that a command prints last, or its error."""
    done = subprocess.run(command, capture_output=True, text=True)
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        return {"error": (done.stderr.strip().splitlines() or ["it printed nothing"])[-1]}
    return json.loads(lines[-1])


def main(
    names: tuple[str, ...] = backbones.names(),
    batch_size: int = 16,
    recurrent_batch_size: int = 4,
    repeats: int = 3,
    beside: str = "",
    one: bool = False,
) -> None:
    """Measures the backbones and writes results/backbone_speed_PLATFORM.json.

    Rows of backbones that are not measured stay, each with the record of how it was.

    Args:
        names: Of backbones.
        batch_size: Clips a step.
        recurrent_batch_size: Clips a step of those that predict frame by frame.
        repeats: Timed calls.
        beside: Another program to measure, see above.
        one: Measure the first name in this process and print it: what the others are called with.
    """
    if one:
        print(json.dumps(measure(names[0], batch_size, repeats)))
        return
    platform = jax.devices()[0].platform
    path = provenance.RESULTS / f"backbone_speed_{platform}.json"
    rows: dict[str, dict[str, Any]] = {}
    if path.exists():
        rows = {row["backbone"]: row for row in json.loads(path.read_text())["rows"]}
    for name in names:
        recurrent = issubclass(backbones.backbone(name), FramePredictor)
        batch = recurrent_batch_size if recurrent else batch_size
        common = ["--batch-size", str(batch), "--repeats", str(repeats)]
        ours = [sys.executable, "-m", "experiments.backbone_speed", "--one", "--names", name]
        row = {"backbone": name, "batch_size": batch, "repeats": repeats}
        row["load"] = os.getloadavg()[0]
        row |= last_json([*ours, *common])
        if beside:
            row["beside"] = last_json([*shlex.split(beside), name, str(batch)])
        rows[name] = row | {"record": provenance.record(seeds=[0])}
        print(json.dumps(row), flush=True)
        ordered = [rows[name] for name in backbones.names() if name in rows]
        write_json(path, {"rows": ordered})


if __name__ == "__main__":
    tyro.cli(main)
