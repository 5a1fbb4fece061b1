"""Times the implementations of `splat2d`: python -m pallas_kernels.splat2d.bench --output FILE.

A row is one workload, implementation and pass ("forward" or "forward+backward", the latter with
the gradient of all four arrays), in milliseconds per frame, the best of the repeats: `wall`, and
`cpu` summed over all cores, which other work on the machine disturbs less.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

from pallas_kernels import record
from pallas_kernels.splat2d import IMPLEMENTATIONS, splat2d
from pallas_kernels.splat2d.grid_sample import grid_sample
from pallas_kernels.splat2d.shapes import WORKLOADS, Case

DENSE = ("reference", "grid_sample")
"""Implementations that hold dense arrays; they are timed on one frame."""

DENSE_LIMIT = 2**25
"""Most elements of such an array (N x H x W, or N x C x H x W for grid_sample) to time; a dozen of
them are alive in the backward pass."""


def main(arguments: list[str] | None = None) -> None:
    """Runs the benchmark and prints, or writes, its record as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = [*IMPLEMENTATIONS, "grid_sample"]
    parser.add_argument("--implementations", nargs="+", default=names, choices=names)
    parser.add_argument("--cases", nargs="+", default=list(WORKLOADS), choices=list(WORKLOADS))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, help="write the record here")
    options = parser.parse_args(arguments)

    rows = []
    for case_name in options.cases:
        for implementation in options.implementations:
            case = WORKLOADS[case_name]
            if implementation in DENSE:
                case = case._replace(frames=1)
            if message := _refusal(case, implementation):
                print(f"{case_name:14} {implementation:12} {message}", file=sys.stderr)
                continue
            row: dict = {"case": case_name, "implementation": implementation}
            row["frames"] = case.frames
            for name, function in _passes(case, implementation, options.seed).items():
                row[name] = _milliseconds(function, options.repeats, case.frames)
                print(f"{case_name:14} {implementation:12} {name:17} {row[name]}", file=sys.stderr)
            rows.append(row)

    result = {
        **record.origin("pallas_kernels.splat2d.bench", arguments),
        "hardware": record.hardware(),
        "seed": options.seed,
        "repeats": options.repeats,
        "unit": "milliseconds per frame",
        "shapes": {name: WORKLOADS[name]._asdict() for name in options.cases},
        "rows": rows,
    }
    text = json.dumps(result, indent=1) + "\n"
    if options.output is None:
        print(text, end="")
    else:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(text)


def _refusal(case: Case, implementation: str) -> str | None:
    """Why a row is left out, or None."""
    if implementation not in DENSE:
        return None
    area = case.gaussians * case.height * case.width
    if implementation == "grid_sample":
        if case.window is None or case.window > min(case.height, case.width):
            return "needs a window that fits in the frame"
        area *= case.channels
    return "dense arrays too large" if area > DENSE_LIMIT else None


def _passes(case: Case, implementation: str, seed: int) -> dict[str, Callable]:
    """The two functions to time, compiled and without arguments."""
    arrays, cotangent = jax.device_put((case.arguments(seed), case.cotangent(seed)))
    options = dict(case.options)
    if implementation == "grid_sample":
        # The same work in the baseline's own units: means in [-1, 1], scales in (0, 1).
        del options["sampling"]
        mean, scale, rotation, amplitude = case.arguments(seed)
        assert case.window is not None
        mu = 1 - 2 * mean / np.array([case.width, case.height], mean.dtype)
        arrays = jax.device_put((mu, scale / ((case.window - 1) / 10), rotation, amplitude))

        def render(*arrays):
            return jax.lax.map(lambda frame: grid_sample(*frame, **options), arrays)
    else:

        def render(*arrays):
            return splat2d(*arrays, **options, implementation=implementation)

    @jax.jit
    def both(arrays, cotangent):
        out, pull = jax.vjp(render, *arrays)
        return out, pull(cotangent)

    forward = jax.jit(render)
    return {
        "forward": lambda: forward(*arrays),
        "forward+backward": lambda: both(arrays, cotangent),
    }


def _milliseconds(function: Callable, repeats: int, frames: int) -> dict[str, float]:
    jax.block_until_ready(function())  # compiles
    wall, cpu = [], []
    for _ in range(repeats):
        start, start_cpu = time.perf_counter(), time.process_time()
        jax.block_until_ready(function())
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - start_cpu)
    return {"wall": round(min(wall) / frames * 1e3, 4), "cpu": round(min(cpu) / frames * 1e3, 4)}


if __name__ == "__main__":
    main()
