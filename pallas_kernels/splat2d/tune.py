"""Finds fast block shapes on the GPU that is here: python -m pallas_kernels.splat2d.tune.

Each kernel runs each workload with its defaults and with a few other options, alone and on packed
Gaussians. A candidate counts if it draws what the defaults draw; one that does not compile, crashes
or hangs is listed and costs no other. The winners go into tuned.json, which is written anew with
every candidate, beside what was found for other workloads, kernels and devices.

The search takes at most --seconds, which the kernels share. Candidates compile at the same time and
run one after the other. `--quick` takes one candidate of the smallest workloads and needs no GPU
with PALLAS_KERNELS_INTERPRET=1: it shows that the search works and says nothing of speed.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from pallas_kernels import gpu
from pallas_kernels.splat2d import factor, gather, tuned
from pallas_kernels.splat2d.bench import workload
from pallas_kernels.splat2d.candidates import KERNELS, options_of
from pallas_kernels.splat2d.shapes import SMALL, WORKLOADS, Case
from pallas_kernels.tools import isolated, record, timing
from pallas_kernels.tools.isolated import Row, Task

GAIN = 1.03
"""A candidate wins if it is this much faster than the defaults."""

TOLERANCE = 1e-4
"""Of a candidate's results, relative to the largest: sums run in another order."""

SECONDS = 400
REPEATS = 5

PATIENCE = 60.0
"""Seconds for one candidate, the start of its process and the compilation of all included."""

QUICK = ("window of one pixel", "many channels")


def main(arguments: list[str] | None = None) -> None:
    """Searches and writes the table."""
    exact = [name for name, case in WORKLOADS.items() if case.sampling == "exact"]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kernels", nargs="+", default=list(KERNELS), choices=list(KERNELS))
    parser.add_argument("--cases", nargs="+", default=exact, choices=exact)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--output", type=Path, default=tuned.TABLE, help="the table")
    parser.add_argument("--quick", action="store_true", help="one candidate of small cases, here")
    options = parser.parse_args(arguments)
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # the processes share the GPU
    if options.quick and options.output.resolve() == tuned.TABLE:
        parser.error("--quick says nothing of speed: give it another --output")
    if not options.quick and (gpu.interpreting() or not gpu.present()):
        parser.error(
            "needs a GPU: block shapes are chosen by how fast they are on one, and JAX computes on "
            f"{'its interpreter' if gpu.interpreting() else jax.default_backend()} here"
        )

    run = isolated.rows_here if options.quick else partial(isolated.rows, patience=PATIENCE)
    table = json.loads((options.output if options.output.exists() else tuned.TABLE).read_text())
    end = time.monotonic() + options.seconds
    for i, kernel in enumerate(options.kernels):
        names = QUICK if options.quick else options.cases
        names = [name for name in names if _case(name).channels in KERNELS[kernel].channels]
        now = time.monotonic()
        until = now + (end - now) / (len(options.kernels) - i)
        seen: list[Row] = []
        for row in run(tasks, (kernel, names, options.quick), until):
            print(_line(row), flush=True)
            seen.append(row)
            best = fastest([x for x in seen if x["case"] == row["case"]])
            if best is not None:
                put(table, kernel, _case(row["case"]), best)
                record.write(options.output, table)
    print(f"written: {options.output.name}, {gpu.device().device_kind}")


def tasks(kernel: str, cases: Sequence[str], quick: bool) -> list[Task]:
    """One for each candidate, on each case those of the kernel itself first: {}."""
    most = 1 if quick else None
    return [
        Task(
            {"kernel": kernel, "case": name, "options": options},
            partial(measure, kernel, name, most, place),
        )
        for name in cases
        for place, options in enumerate(_candidates(kernel, most))
    ]


def measure(kernel: str, name: str, most: int | None, place: int) -> Row:
    """Milliseconds a frame of the candidate in a `place`.

    Raises:
        NotImplementedError: it, or the defaults, cannot be compiled here.
        ValueError: it draws something else than the defaults.
        Exception: what compiling or running it raises.
    """
    calls = _compiled(kernel, name, most)
    defaults, call = calls[0], calls[place]
    if isinstance(call, Exception):
        raise call
    if isinstance(defaults, Exception):
        raise NotImplementedError("the defaults do not compile: there is nothing to compare with")
    if not alike(call(0), defaults(0)):
        raise ValueError("draws something else")
    return timing.milliseconds(call, _case(name).frames, REPEATS)


def fastest(rows: Sequence[Row]) -> dict[str, Any] | None:
    """The options that win among the rows of a kernel and a case.

    {} are the defaults. None if these were not timed.
    """
    timed = [row for row in rows if "median" in row]
    if not timed or timed[0]["options"]:
        return None
    best = min(timed, key=lambda row: row["median"])
    return best["options"] if best["median"] * GAIN < timed[0]["median"] else {}


def put(table: dict[str, Any], kernel: str, case: Case, options: dict[str, Any]) -> None:
    """Puts the options of a kernel for a case on this device into a table of `tuned`."""
    shape = {k: getattr(case, k) for k in ("height", "width", "channels", "window")}
    here = gpu.device()
    capability = getattr(here, "compute_capability", None)
    row = table.setdefault(here.device_kind, {"compute_capability": capability, "kernels": {}})
    others = [x for x in row["kernels"].get(kernel, []) if {**x, **shape} != x]
    row["kernels"][kernel] = [*others, {**shape, "options": options}]


def _line(row):
    what = f"{row['kernel']:20} {row['case']:14} {row['options'] or 'defaults'!s:60}"
    reasons = [f"{x}: {row[x]}" for x in ("error", "refused", "skipped") if x in row]
    return what + (reasons[0] if reasons else f" {row['median'] * 1e3:.4g} us a frame")


def _case(name: str) -> Case:
    return SMALL[name] if name in SMALL else workload(name)


def _candidates(kernel, most):
    return [{}, *KERNELS[kernel].candidates[:most]]


@lru_cache(maxsize=1)  # of one case, so that its arrays are the only ones
def _compiled(kernel, name, most):
    """What runs each candidate, or the error of one that does not compile."""
    tuned.table().clear()  # the defaults are the kernel's own, in this process
    compiled = caller(kernel, _case(name))

    def attempt(options):
        try:
            return compiled(options)
        except ImportError as error:
            return NotImplementedError(str(error))
        except Exception as error:
            return error

    candidates = _candidates(kernel, most)
    with ThreadPoolExecutor() as pool:
        calls = list(pool.map(attempt, candidates))
    # Nobody promises that Triton's Python works in threads: what failed in one is tried alone.
    return [
        attempt(options) if isinstance(call, Exception) else call
        for options, call in zip(candidates, calls, strict=True)
    ]


def caller(kernel: str, case: Case) -> Callable[[dict[str, Any]], Callable[[int], Any]]:
    """A function that compiles a kernel with given options, for inputs that are made once."""
    module: Any = import_module(f"pallas_kernels.splat2d.{kernel}")
    made = options_of(kernel)
    geometry = gather.Geometry(
        case.height, case.width, case.window, jnp.dtype("float32"), gpu.interpreting()
    )
    mean, scale, rotation, amplitude = map(jnp.asarray, case.arguments())
    gaussians = gather.pack(geometry, mean, factor.factor_of(scale, rotation))
    padding = gaussians.shape[-1] - case.gaussians
    amplitude = jnp.pad(amplitude, ((0, 0), (0, padding), (0, 0)))
    if kernel.endswith("_vjp"):

        def function(*arrays):  # what is padded may be left unwritten
            moments, d_amplitude = module.backward(*arrays)
            return moments[..., : case.gaussians], d_amplitude[:, : case.gaussians]

        last = jnp.asarray(case.cotangent())
    else:
        function, last = module.forward, None
        if case.gaussians > gather.SORTED:  # which Gaussian has which amplitude does not matter
            order = jnp.argsort(gather.curve(geometry, mean), axis=-1)
            gaussians = gaussians.at[..., : case.gaussians].set(
                jnp.take_along_axis(gaussians, order[:, None], axis=2)
            )
            last = gather.bounds(gaussians)

    def compiled(options):
        chosen = made(**options) if options else None
        arrays = gaussians, amplitude, last
        call = jax.jit(lambda *x: function(geometry, *x, chosen)).lower(*arrays).compile()
        return lambda i: call(*arrays)

    return compiled


def alike(got: Any, expected: Any) -> bool:
    """Whether all results differ by no more than rounding."""
    pairs = zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True)
    return all(bool(jnp.max(jnp.abs(x - y)) <= TOLERANCE * jnp.max(jnp.abs(y))) for x, y in pairs)


if __name__ == "__main__":
    main()
