"""The rate at which clips arrive, beside the rate at which a training step takes them.

    python -m experiments.loader_bench --manual-dir kth=FOLDER bikenyc=FOLDER

Writes experiments/results/loader_cpu.json. Every data set is prepared from files in its real
format and frame size but with few samples, which `experiments.loader_files` writes to a temporary
folder; a data set named by --manual-dir is prepared from the files in that folder. The operating
system reads such small files from memory, so the rate is that of reading records, decoding and
stacking, not of a disk. Takes about 15 minutes, mostly to compile and run TAU's steps.
"""

import argparse
import functools
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

import pdr_datasets
from experiments.loader_files import WRITERS
from experiments.provenance import RESULTS, record
from pdr_jax import optim, recipes
from pdr_jax.files import write_json
from pdr_jax.sharding import make_gather, make_mesh, shard_batch, state_shardings
from pdr_jax.train import ClipSpec, init_state, train_step

BATCH = 16
THREADS = (0, 1, 4)  # 4 is the default of `pdr_datasets.batches`
# Clips a step where 16 would take minutes; what a step takes is all but proportional to them.
STEP_BATCH = {"kth": 1, "human36m": 1, "moving_mnist": 2}
RESIDENT_MIB = 256


def main() -> None:
    """Measures and writes; what is not measured anew stays, with the record of how it was."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--manual-dir", nargs="*", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--only", nargs="*", default=list(WRITERS), choices=list(WRITERS))
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--output", type=Path, default=RESULTS / "loader_cpu.json")
    arguments = parser.parse_args()
    given = dict(argument.split("=", 1) for argument in arguments.manual_dir)
    origin = record(seeds=[0])
    rows: dict[str, dict[str, Any]] = {}
    if arguments.output.exists():
        rows = {row["data"]: row for row in json.loads(arguments.output.read_text())["rows"]}
    for name in arguments.only:
        with tempfile.TemporaryDirectory() as folder:
            row = measure(name, Path(folder), given.get(name), arguments.seconds)
        rows[name] = {**row, "record": origin}
        print(rows[name], flush=True)
        measured = [rows[name] for name in WRITERS if name in rows]
        write_json(arguments.output, {"rows": measured})


def measure(name: str, folder: Path, given: str | None, seconds: float) -> dict[str, Any]:
    """A data set's row."""
    recipe = recipes.create(name, adapter="none")
    options, load = WRITERS[name](folder / "files")
    if given is not None:
        options, load = {"manual_dir": given}, {}
    load |= {"in_length": recipe.in_length, "out_length": recipe.out_length}
    if name != "arrays":
        load["data_dir"] = folder / "build"
        pdr_datasets.prepare(name, **options, **load)
    dataset = pdr_datasets.load(name, **load)
    source = dataset.splits["train"]
    frames = np.asarray(source[0]["frames"])
    step, batch = make_step(recipe, dataset, STEP_BATCH.get(name, BATCH))
    row: dict[str, Any] = {
        "data": name,
        "config": dataset.config,
        "real": given is not None,
        "samples": len(source),
        "clip": list(frames.shape),
        "dtype": str(frames.dtype),
        "clip_bytes": frames.nbytes,
        "batch_size": BATCH,
        "pipeline": {str(n): throughput(source, seconds, num_threads=n) for n in THREADS},
        "step_batch": batch,
        "step": step(source, seconds),
        "load": os.getloadavg()[0],
    }
    try:
        begin = time.perf_counter()
        resident = pdr_datasets.Resident(source, RESIDENT_MIB)
    except ValueError:
        return row
    mesh = make_mesh(1)
    gather = make_gather(mesh, resident.frames)
    shard = functools.partial(shard_batch, mesh)
    return row | {
        "resident": {
            "seconds": time.perf_counter() - begin,
            "mib": resident.frames.nbytes / 2**20,
            "clips_mib": len(source) * frames.nbytes / 2**20,
            "streamed": throughput(source, seconds, shard),
            "gathered": throughput(resident, seconds, gather),
            "step": step(resident, seconds, gather),
        }
    }


def throughput(
    source: pdr_datasets.Source,
    seconds: float,
    use: Callable[[np.ndarray], Any] = lambda frames: None,
    **options: Any,
) -> float:
    """Samples a second of the pipeline, and of what is done with each batch."""
    batches = _endless(source, BATCH, **options)
    return BATCH * _rate(lambda: jax.block_until_ready(use(next(batches)["frames"])), seconds, 20)


def make_step(
    recipe: recipes.Recipe, dataset: pdr_datasets.VideoDataset, batch: int
) -> tuple[Callable[..., float], int]:
    """Samples a second of training, as (source, seconds, place) -> figure; and clips a step."""
    batch = min(batch, len(dataset.splits["train"]))
    clip = ClipSpec(recipe.in_length, recipe.out_length, dataset.units)
    tx, _ = optim.create(
        optimizer=recipe.optimizer,
        learning_rate=recipe.learning_rate,
        schedule="constant",
        total_steps=100_000,
        epochs=recipe.epochs,
    )
    bound: Mapping[str, Any] = {
        "model": recipe.build(dataset.frame_shape),
        "loss": recipe.build_loss(dataset.data_range),
        "tx": tx,
        "clip": clip,
    }
    mesh = make_mesh(1)
    init = functools.partial(init_state, bound["model"], tx, clip=clip, seed=0)
    shape = (batch, clip.in_length + clip.horizon, *dataset.frame_shape)
    like = jax.eval_shape(init, jax.ShapeDtypeStruct(shape, np.float32))
    shardings = state_shardings(mesh, like)
    start = jax.jit(
        init, out_shardings=shardings, compiler_options={"xla_backend_optimization_level": 0}
    )
    jitted = jax.jit(
        functools.partial(train_step, **bound), donate_argnums=0, out_shardings=(shardings, None)
    )

    def run(
        source: pdr_datasets.Source,
        seconds: float,
        place: Callable[[np.ndarray], Any] | None = None,
    ) -> float:
        place = place or functools.partial(shard_batch, mesh)
        batches = _endless(source, batch)
        state = start(place(next(batches)["frames"]))

        def one() -> None:
            nonlocal state
            state, logs = jitted(state, place(next(batches)["frames"]))
            logs["loss"].block_until_ready()

        return batch * _rate(one, 2 * seconds, 1)

    return run, batch


def _endless(source: pdr_datasets.Source, batch: int, **options: Any) -> Any:
    return pdr_datasets.batches(source, batch, shuffle=True, num_epochs=None, **options)


def _rate(call: Callable[[], Any], seconds: float, warmup: int) -> float:
    """Calls a second, after `warmup` calls: once, and on until the time is over."""
    for _ in range(warmup):
        call()
    begin, count = time.perf_counter(), 0
    while count == 0 or time.perf_counter() - begin < seconds:
        call()
        count += 1
    return count / (time.perf_counter() - begin)


if __name__ == "__main__":
    main()
