"""Compiles all kernels for GPUs that are not here: python -m pallas_kernels.tools.compile_check.

A row is one kernel, compiled for the shapes of one case of shapes.py: registers and spilled bytes
of a thread, shared memory of a block, SASS instructions, and how many of them the loop that draws
spends on a pair of a pixel and a Gaussian. Exits with 1 if a kernel spills or does not compile.
Nothing is run. What `aot` needs must be installed; kernels of packages that are not installed, and
those that this version of JAX cannot compile, are shown as refused.
"""

import argparse
import json
import multiprocessing
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp

from pallas_kernels.splat2d import gather
from pallas_kernels.splat2d.shapes import WORKLOADS
from pallas_kernels.ssim.fused import Geometry
from pallas_kernels.ssim.measure import Measure, gaussian_window
from pallas_kernels.tools import aot, record, sass

KERNELS = {
    "splat2d.pallas_triton": ("sm_90a", "sm_80"),
    "splat2d.pallas_triton_vjp": ("sm_90a", "sm_80"),
    "splat2d.pallas_mosaic": ("sm_90a",),
    "splat2d.pallas_mosaic_vjp": ("sm_90a",),
    "splat2d.jax_triton": ("sm_90a", "sm_80"),
    "splat2d.jax_triton_vjp": ("sm_90a", "sm_80"),
    "ssim.pallas_triton": ("sm_90a", "sm_80"),
    "ssim.pallas_triton_vjp": ("sm_90a", "sm_80"),
    "ssim.jax_triton": ("sm_90a", "sm_80"),
    "ssim.jax_triton_vjp": ("sm_90a", "sm_80"),
}
"""Modules with kernels, and what they are compiled for."""

CASES = [name for name, case in WORKLOADS.items() if case.sampling == "exact"]
SSIM_CASES = {WORKLOADS[name][1:4]: name for name in reversed(CASES)}.values()
"""One for each shape of frames."""

DTYPES = ("float32", "bfloat16")


class Job(NamedTuple):
    """The kernels of a module, for one case, of frames of a dtype."""

    module: str
    case: str
    dtype: str
    architecture: str


def main(arguments: list[str] | None = None) -> int:
    """Compiles, prints a table, and writes its record as JSON where asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kernels", nargs="+", default=list(KERNELS), choices=list(KERNELS))
    parser.add_argument("--cases", nargs="+", default=CASES, choices=CASES)
    parser.add_argument("--dtypes", nargs="+", default=DTYPES, choices=DTYPES)
    parser.add_argument("--architectures", nargs="+", default=aot.DEVICES, choices=aot.DEVICES)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--output", type=Path, help="write the record here")
    options = parser.parse_args(arguments)
    if reason := aot.missing():
        parser.error(f"cannot compile for a GPU here: {reason}")

    jobs = [
        Job(module, case, dtype, architecture)
        for module in options.kernels
        for case in options.cases
        if module.startswith("splat2d") or case in SSIM_CASES
        for dtype in options.dtypes
        for architecture in options.architectures
        if architecture in KERNELS[module]
    ]
    print(LINE.format(*COLUMNS))
    rows = []
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.processes, spawn, _without_gpu) as pool:
        for found in pool.map(compile_job, jobs):
            print(*map(_line, found), sep="\n", flush=True)
            rows += found

    compiled = [row for row in rows if "kernel" in row]
    spilled = [row for row in compiled if row["spill_bytes"]]
    errors = [row for row in rows if "error" in row]
    print(f"{len(compiled)} kernels compiled, {len(spilled)} spill; {len(errors)} errors")
    if options.output is not None:
        origin = record.origin("pallas_kernels.tools.compile_check", arguments)
        origin["versions"]["ptxas"] = aot.ptxas_version()
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps({**origin, "rows": rows}, indent=1) + "\n")
    return 1 if spilled or errors or not compiled else 0


def compile_job(job: Job) -> list[dict[str, Any]]:
    """The rows of a job: one for each kernel, or one that says why it was "refused" or the "error".

    NotImplementedError is a refusal.
    """
    family = splat2d_kernels if job.module.startswith("splat2d") else _ssim
    try:
        kernels = list(family(job))
        if not kernels:
            raise RuntimeError("no kernel was compiled")
    except NotImplementedError as error:
        return [{**job._asdict(), "refused": str(error)}]
    except ModuleNotFoundError as error:
        if error.name != "triton":
            raise
        return [{**job._asdict(), "refused": "triton is not installed"}]
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


def splat2d_kernels(job: Job) -> Iterator[aot.Kernel]:
    """The kernels of an implementation, forward or backward, called as gather.py says."""
    case = WORKLOADS[job.case]
    geometry = gather.Geometry(
        case.height, case.width, case.window, jnp.dtype(job.dtype), interpret=False
    )
    count = -(-case.gaussians // gather.CHUNK) * gather.CHUNK
    gaussians = jax.ShapeDtypeStruct((case.frames, 7, count), jnp.float32)
    amplitude = jax.ShapeDtypeStruct((case.frames, count, case.channels), jnp.float32)
    module = import_module(f"pallas_kernels.{job.module}")
    last: Any = None
    if job.module.endswith("_vjp"):
        function = module.backward
        shape = (case.frames, case.height, case.width, case.channels)
        last = jax.ShapeDtypeStruct(shape, geometry.dtype)
    else:
        function = module.forward
        if case.gaussians > gather.SORTED:
            last = jax.eval_shape(gather.bounds, gaussians)
    return _compiled(job, module, partial(function, geometry), gaussians, amplitude, last)


def _compiled(job, module, function, *arguments):
    """The kernels of a function of a module."""
    if "jax_triton" in job.module:
        yield from _triton_proper(job.architecture, module, function, *arguments)
    else:
        yield from aot.compile_for(job.architecture, function, *arguments)


def _triton_proper(architecture, module, function, *arguments):
    """The kernels that a function gives to jax-triton, which by itself compiles for a real GPU."""
    launches = []

    def call(launch, arrays, out):
        launches.append((launch, [x.dtype for x in (*arrays, *out)]))
        return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), out)

    with mock.patch.object(module, "call", call):
        jax.eval_shape(function, *arguments)
    for launch, dtypes in launches:
        yield from aot.compile_triton(
            architecture, launch.kernel, dtypes, launch.constants, launch.warps
        )


def _ssim(job: Job) -> Iterator[aot.Kernel]:
    """The kernels of ssim for both borders: forward without and with its maps, or backward."""
    case, window = WORKLOADS[job.case], gaussian_window()
    shape = (case.frames, case.height, case.width, case.channels)
    frames = jax.ShapeDtypeStruct(shape, jnp.dtype(job.dtype))
    cotangent = jax.ShapeDtypeStruct(shape[:1], jnp.float32)
    module = import_module(f"pallas_kernels.{job.module}")
    for padding in ("valid", "same"):
        measure = Measure(window, window, 0.0, 1.0, False, padding, signed=True)  # the losses' form
        geometry = Geometry(measure, *shape[1:], False)
        calls: dict[str, tuple]
        if job.module.endswith("_vjp"):
            maps = jax.ShapeDtypeStruct((case.frames, 3, *geometry.windows), jnp.float32)
            calls = {"": (partial(module.backward, geometry), frames, frames, maps, cotangent)}
        else:
            with_maps = partial(module.forward, geometry, maps=True)
            calls = {
                "": (partial(module.forward, geometry), frames, frames),
                " maps": (with_maps, frames, frames),
            }
        for what, call in calls.items():
            for kernel in _compiled(job, module, *call):
                yield kernel._replace(name=f"{kernel.name} {padding}{what}")


def _without_gpu():
    jax.config.update("jax_platforms", "cpu")


COLUMNS = (
    "module",
    "case",
    "dtype",
    "for",
    "kernel",
    "registers",
    "spilled",
    "shared",
    "instructions",
    "a pair",
)
LINE = "{:25} {:13} {:8} {:6} {:29} {:>9} {:>7} {:>6} {:>12} {:>6}"


def _line(row):
    for why in ("refused", "error"):
        if why in row:
            return LINE.format(*list(row.values())[:4], f"{why}: {row[why]}", *[""] * 5).rstrip()
    return LINE.format(*("-" if value is None else value for value in row.values()))


if __name__ == "__main__":
    sys.exit(main())
