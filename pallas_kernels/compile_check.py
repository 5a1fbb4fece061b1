"""Compiles all kernels for GPUs that are not here: python -m pallas_kernels.compile_check.

A row is one kernel of one implementation, compiled for one case of shapes.py: its registers and
spilled bytes a thread, the shared memory of a block, its SASS instructions, and how many of them
the loop that draws spends on a pair of a pixel and a Gaussian. Exits with 1 if a kernel spills or
does not compile. What `aot` needs must be installed; nothing is run.
"""

import argparse
import json
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from pallas_kernels import aot, record, sass
from pallas_kernels.splat2d import gather
from pallas_kernels.splat2d.shapes import WORKLOADS

IMPLEMENTATIONS = {
    "pallas_triton": ("sm_90a", "sm_80"),
    "pallas_mosaic": ("sm_90a",),
    "jax_triton": ("sm_90a", "sm_80"),
}
"""Those of `splat2d`, and what each is compiled for."""

CASES = [name for name, case in WORKLOADS.items() if case.sampling == "exact"]
OPTIONAL = ("triton", "jax_triton")


class Job(NamedTuple):
    """What is compiled at once."""

    implementation: str
    direction: str
    """"forward" or "backward"."""
    case: str
    dtype: str
    architecture: str


def main(arguments: list[str] | None = None) -> int:
    """Compiles, prints a table, and writes its record as JSON where asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--implementations", nargs="+", default=IMPLEMENTATIONS)
    parser.add_argument("--cases", nargs="+", default=CASES, choices=CASES)
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--architectures", nargs="+", default=aot.DEVICES, choices=aot.DEVICES)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--output", type=Path, help="write the record here")
    options = parser.parse_args(arguments)
    if reason := aot.missing():
        parser.error(f"cannot compile for a GPU here: {reason}")

    jobs = [
        Job(implementation, direction, case, dtype, architecture)
        for implementation in options.implementations
        for direction in ("forward", "backward")
        for case in options.cases
        for dtype in options.dtypes
        for architecture in IMPLEMENTATIONS[implementation]
        if architecture in options.architectures
    ]
    rows = []
    print(LINE.format(*(title for title, _ in COLUMNS)))
    # Fresh processes: in them JAX looks for no GPU, and a compiler that aborts takes one along.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.processes, spawn, _without_gpu) as pool:
        for found in pool.map(compile_job, jobs):
            for row in found:
                print(_line(row), flush=True)
            rows += found

    failed = [row for row in rows if "error" in row or row.get("spill_bytes")]
    compiled = [row for row in rows if "registers" in row]
    print(f"{len(compiled)} kernels compiled, {len(failed)} of {len(rows)} rows failed")
    if options.output is not None:
        origin = record.origin("pallas_kernels.compile_check", arguments)
        text = json.dumps({**origin, "ptxas": aot.ptxas_version(), "rows": rows}, indent=1)
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(text + "\n")
    return 1 if failed or not compiled else 0


def compile_job(job: Job) -> list[dict[str, Any]]:
    """The rows of a job: one for each kernel, or one with an "error" or what it is "refused" for.

    NotImplementedError is a refusal, and so is an optional package that is missing.
    """
    try:
        kernels = _compile(job)
        if not kernels:
            raise RuntimeError("no kernel in it was compiled")
    except NotImplementedError as error:
        return [{**job._asdict(), "refused": str(error)}]
    except ModuleNotFoundError as error:
        if error.name not in OPTIONAL:
            raise
        return [{**job._asdict(), "refused": f"{error.name} is not installed"}]
    except Exception as error:
        return [{**job._asdict(), "error": f"{type(error).__name__}: {error}"}]
    return [{**job._asdict(), **figures(kernel)} for kernel in kernels]


def figures(kernel: aot.Kernel) -> dict[str, Any]:
    """What a row says of a kernel."""
    loop = sass.hot_loop(kernel.instructions)
    return {
        "kernel": kernel.name,
        "registers": kernel.registers,
        "spill_bytes": kernel.spill_bytes,
        "shared_bytes": kernel.shared_bytes,
        "instructions": len(kernel.instructions),
        "instructions_per_pair": loop and round(loop.instructions_per_pair, 1),
    }


def _compile(job: Job) -> list[aot.Kernel]:
    """Compiles a job's function, whose arguments gather.py describes."""
    case = WORKLOADS[job.case]
    geometry = gather.Geometry(
        case.height, case.width, case.window, jnp.dtype(job.dtype), interpret=False
    )
    count = -(-case.gaussians // gather.CHUNK) * gather.CHUNK
    gaussians = jax.ShapeDtypeStruct((case.frames, 7, count), jnp.float32)
    amplitude = jax.ShapeDtypeStruct((case.frames, count, case.channels), jnp.float32)
    compile_for = partial(aot.compile_for, job.architecture)
    module = f"pallas_kernels.splat2d.{job.implementation}"
    if job.direction == "backward":
        shape = (case.frames, case.height, case.width, case.channels)
        cotangent = jax.ShapeDtypeStruct(shape, geometry.dtype)
        backward = import_module(module + "_vjp").backward
        return compile_for(partial(backward, geometry), gaussians, amplitude, cotangent)
    boxes = jax.eval_shape(gather.bounds, gaussians) if case.gaussians > gather.SORTED else None
    forward = import_module(module).forward
    return compile_for(partial(forward, geometry), gaussians, amplitude, boxes)


def _without_gpu():
    jax.config.update("jax_platforms", "cpu")


COLUMNS = [
    ("implementation", "implementation"),
    ("pass", "direction"),
    ("case", "case"),
    ("dtype", "dtype"),
    ("for", "architecture"),
    ("registers", "registers"),
    ("spill bytes", "spill_bytes"),
    ("shared bytes", "shared_bytes"),
    ("instructions", "instructions"),
    ("a pair", "instructions_per_pair"),
]
"""Titles of the table, and what of a row stands below them."""

LINE = "{:14} {:8} {:13} {:8} {:6} {:>9} {:>11} {:>12} {:>12} {:>6}"


def _line(row):
    for what in ("refused", "error"):
        if what in row:
            job = LINE.format(*(row[key] for key in Job._fields), *[""] * 5)
            return f"{job.rstrip()}  {what}: {row[what]}"
    values = [row[key] for _, key in COLUMNS]
    return LINE.format(*("-" if value is None else value for value in values))


if __name__ == "__main__":
    sys.exit(main())
