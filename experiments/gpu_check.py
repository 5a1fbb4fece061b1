"""Everything that only a GPU can tell, in one command of at most nine minutes, without network:

    python -m experiments.gpu_check

1. every kernel against its definition in float64 (`gpu_kernels`),
2. the table of `pallas_kernels.splat2d.bench`,
3. training steps a second of TAU and PDR(TAU), and what the parts of a step take (`gpu_training`),
4. the memory of each.

Needs jax, flax, optax, orbax-checkpoint, einops and numpy; PyTorch and jax-triton add their rows.
The parts that are asked for share the time; what does not fit into it is listed as skipped. The
record, one JSON, is written anew with every row, so that a run that is cut off leaves what it
measured. `--quick` takes one small case of everything, in this process, and in Pallas' interpreter
where there is no GPU.
"""  # noqa: D415

import argparse
import json
import os
import threading
import time
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any
from unittest import mock

import jax

from experiments import gpu_kernels, gpu_training
from experiments.gpu_training import ADAPTER, LOSS, PDR_LOSS, PDR_TAU, RENDERER, SSIM, TAU
from experiments.provenance import RESULTS, record
from pallas_kernels import gpu
from pallas_kernels.splat2d import bench, bench_table
from pallas_kernels.splat2d.api import ON_GPU
from pallas_kernels.tools import isolated, timing
from pallas_kernels.tools.isolated import Row, Task
from pallas_kernels.tools.record import write

PARTS = {"kernels": 0.30, "bench": 0.28, "training": 0.42}
"""In their order, with how much of the time each has; what one leaves, the next may use."""

PREDICTED = RESULTS / "predicted_splat2d.json"
"""By `pallas_kernels.tools.predict`: stands beside what is measured."""

PATIENCE = 100.0
"""Seconds for one task, the start of its process and compilation included."""

BENCH_CASES = ("A", "B", "KTH", "tracked", "weather", "image")
BENCH_ROWS = (*ON_GPU, "torch", "grid_sample", "base_grid", "reference", "xla")
"""In the order in which they are wanted should the time not last."""

CASES = tuple(dict.fromkeys((*BENCH_CASES, *gpu_kernels.CASES, *gpu_kernels.SSIM_CASES)))
IMPLEMENTATIONS = tuple(
    dict.fromkeys((*BENCH_ROWS, *(kernel.split()[1] for kernel in gpu_kernels.KERNELS)))
)


def main(arguments: list[str] | None = None) -> None:
    """Runs all parts, writes the record and prints its summary."""
    start = time.monotonic()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=RESULTS / "gpu/gpu_check.json")
    parser.add_argument("--minutes", type=float, default=8.7, help="for everything")
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--cases", nargs="+", choices=CASES, help="of kernels and bench")
    parser.add_argument("--implementations", nargs="+", choices=IMPLEMENTATIONS, help="of the same")
    parser.add_argument("--commit", help="of the code, where it lies without its repository")
    parser.add_argument("--quick", action="store_true", help="one small case of everything, here")
    options = parser.parse_args(arguments)
    # The processes share the device.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    if not (options.quick or gpu.present()):
        parser.error(f"JAX computes on {jax.default_backend()} here, not on a GPU: try --quick")

    keep = Record(options.output, options.commit)
    interpreted = options.quick and not gpu.present()
    with mock.patch.dict(os.environ, {"PALLAS_KERNELS_INTERPRET": "1"} if interpreted else {}):
        for part, deadline in deadlines(options.parts, start, 60 * options.minutes).items():
            run = isolated.rows_here if options.quick else partial(isolated.rows, patience=PATIENCE)
            # Only what is not timed runs at the same time.
            with ThreadPoolExecutor(len(gpu_kernels.KERNELS) if part == "kernels" else 1) as pool:

                def measure(group, run=run, part=part, deadline=deadline):
                    make, *given = group
                    for row in run(make, (*given, options.quick), deadline):
                        keep.add(part, row)

                list(pool.map(measure, groups(part, options)))
    keep.content["minutes"] = round((time.monotonic() - start) / 60, 2)
    keep.write()
    print(f"\n{keep.content['hardware']}, {keep.content['minutes']} minutes")
    print("\n".join(summary(keep.content)))
    print(f"written: {options.output}")


def deadlines(parts: Collection[str], start: float, seconds: float) -> dict[str, float]:
    """When each part has to be over: those that are asked for share the time."""
    asked = [name for name in PARTS if name in parts]
    ends = accumulate(PARTS[name] for name in asked)
    whole = sum(PARTS[name] for name in asked)
    return {name: start + seconds * end / whole for name, end in zip(asked, ends, strict=True)}


def groups(part: str, options: argparse.Namespace) -> list[tuple]:
    """What makes the tasks of a part; each group has its own processes."""
    cases, names = options.cases, options.implementations
    if part == "kernels":
        kernels = [x for x in gpu_kernels.KERNELS if names is None or x.split()[1] in names]
        return [(gpu_kernels.tasks, kernel, cases) for kernel in kernels]
    if part == "bench":
        return [(bench_tasks, cases, names)]
    if options.quick:
        return [(gpu_training.tasks, "taxibj", "bf16")]
    return [
        (gpu_training.tasks, data, precision)
        for precision in gpu_training.PRECISIONS
        for data in gpu_training.DATA
    ]


def bench_tasks(
    cases: Collection[str] | None, implementations: Collection[str] | None, quick: bool
) -> list[Task]:
    """The rows of the benchmark, the batched ones before those of a single frame."""
    pairs = [
        (implementation, case)
        for implementation in BENCH_ROWS
        if implementation in bench.ROWS and implementation in (implementations or BENCH_ROWS)
        for case in BENCH_CASES
        if case in (cases or BENCH_CASES)
    ]
    if quick:
        pairs = [("xla", "B")]
    tasks = []
    for implementation, name in pairs:
        most = bench.batch(bench.workload(name), implementation)
        for frames in [1] if quick else sorted({most, 1}, reverse=True):
            case = bench.workload(name)._replace(frames=frames)
            label = {"case": name, "implementation": implementation, "frames": frames}
            repeats = 1 if quick else timing.repeats_here()
            tasks.append(Task(label, partial(bench.measure, case, implementation, repeats)))
    return tasks


class Record:
    """The result; every row is printed and written when it comes."""

    def __init__(self, path: Path, commit: str | None):
        device = jax.devices()[0]
        self.path, self.lock = path, threading.Lock()
        self.content: dict[str, Any] = {
            **record(seeds=[0]),
            "device": device.device_kind,
            "compute_capability": str(getattr(device, "compute_capability", "")),
            "shapes": {name: bench.workload(name)._asdict() for name in BENCH_CASES},
            **{part: [] for part in PARTS},
        }
        if commit:
            self.content["commit"] = commit
        self.write()

    def add(self, part: str, row: Row) -> None:
        """Takes a row of a part."""
        with self.lock:
            print(line(row), flush=True)
            self.content[part].append(row)
            self.write()

    def write(self) -> None:
        """Writes the file."""
        write(self.path, self.content)


def line(row: Row) -> str:
    """A row of any part in a line."""
    label = " ".join(str(row[k]) for k in LABELS if k in row)
    for reason in ("error", "refused", "skipped"):
        if reason in row:
            return f"{label:54} {reason.upper() if reason == 'error' else reason}: {row[reason]}"
    if "errors" in row:
        errors = " ".join(f"{name} {error:.1e}" for name, error in row["errors"].items())
        false = [name for name in ("written", "repeats", "contained") if not row[name]]
        verdict = "ok " if row["ok"] else "BAD"
        return f"{label:54} {verdict} {errors}{' NOT ' if false else ''}{', '.join(false)}"
    if "forward" in row:
        times = [row[part]["median"] * 1e3 for part in bench_table.PASSES]
        return f"{label:54} {times[0]:10.3f} us a frame, both passes {times[1]:10.3f}"
    return f"{label:54} {row['median']:10.4f} ms"


LABELS = ("kernel", "data", "precision", "what", "case", "implementation", "frames", "dtype")


def summary(content: dict[str, Any]) -> Iterator[str]:
    """The short table of a record."""
    for kernel in dict.fromkeys(row["kernel"] for row in content["kernels"]):
        rows = [row for row in content["kernels"] if row["kernel"] == kernel]
        good, checked = sum(row.get("ok", False) for row in rows), sum("ok" in row for row in rows)
        other = {k: sum(k in row for row in rows) for k in ("error", "refused", "skipped")}
        worst = {
            dtype: max((max(row["errors"].values()) for row in rows if _of(row, dtype)), default="")
            for dtype in gpu_kernels.LIMITS
        }
        yield f"{kernel:24} {good} of {checked} right, {other}, largest errors {worst}"
    rows = [row for row in content["bench"] if "forward" in row]
    measured = {**content, "hardware": {"device": content["device"]}, "rows": rows}
    predicted = json.loads(PREDICTED.read_text())["rows"] if PREDICTED.exists() else []
    table = bench_table.lines(measured, predicted)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for cells in table if rows else []:
        yield "  ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
    for data in gpu_training.DATA:
        for precision in gpu_training.PRECISIONS:
            yield from _training(content["training"], data, precision)


def _of(row, dtype):
    return "errors" in row and row["dtype"] == dtype


def _training(rows: list[Row], data: str, precision: str) -> Iterator[str]:
    """Steps a second, PDR's overhead, and the shares of its step."""
    found = {
        row["what"]: row
        for row in rows
        if row["data"] == data and row["precision"] == precision and "median" in row
    }
    for name in (TAU, PDR_LOSS, PDR_TAU):
        if name in found:
            row = found[name]
            more = ""
            if name != TAU and TAU in found:
                more = f", {100 * (row['median'] / found[TAU]['median'] - 1):+.1f} % over TAU"
            yield (
                f"{data} {precision} {name:20} {row['steps_per_second']:9.2f} steps/s, "
                f"{row.get('peak_mib', '?')} MiB at most, program {row.get('program_mib', '?')}"
                f"{more}"
            )
    for name, row in found.items():
        if name.startswith((ADAPTER, RENDERER, LOSS, SSIM)):
            share = ""
            if PDR_TAU in found:
                share = f", {100 * row['median'] / found[PDR_TAU]['median']:.1f} % of PDR's step"
            yield f"{data} {precision} {name:28} {row['median']:9.4f} ms{share}"


if __name__ == "__main__":
    main()
