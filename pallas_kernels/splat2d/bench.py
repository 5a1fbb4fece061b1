"""Times the implementations of `splat2d`: python -m pallas_kernels.splat2d.bench --output FILE.

A row is a workload, an implementation and a number of frames a call, batched and alone. Beside the
implementations there are the published baseline, `grid_sample`, the same frames from its base grid,
and, where PyTorch is installed, the baseline written in it. Each row has two passes, "forward" and
"forward+backward" (the gradient of all four arrays): milliseconds a frame as `timing` takes them,
the bytes a frame that a call needs beside its arguments, and on known GPUs the floor of `roofline`.
What is refused, does not fit or fails is left out with its reason. The record is written anew with
every row, so that a run that is cut off leaves what it measured.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from pallas_kernels import gpu
from pallas_kernels.splat2d import IMPLEMENTATIONS, roofline, splat2d
from pallas_kernels.splat2d.bench_table import lines
from pallas_kernels.splat2d.grid_sample import base_grid, grid_sample
from pallas_kernels.splat2d.shapes import WORKLOADS, Case
from pallas_kernels.tools import record, timing

BASELINES = {"grid_sample": grid_sample, "base_grid": base_grid}

ROWS = (*IMPLEMENTATIONS, *BASELINES, *(["torch"] if find_spec("torch") else []))

GPU_FRAMES = {
    "A": 256,
    "B": 4096,
    "KTH": 1024,
    "KTH64": 2048,
    "KTH64 wide": 2048,
    "KTH no window": 512,
    "KTH bilinear": 512,
    "tracked": 64,
    "weather": 512,
    "image": 8,
}
"""Frames a call that fill a GPU; a CPU gets those of the table of shapes."""

XLA_FRAMES = 256
"""At most, of "xla" on a GPU: a row has to end in time, however slow it turns out to be."""

SETS = 3
"""Inputs, of different seeds, that calls take in turn."""


class Pass(NamedTuple):
    """A function to time, of the number of the call, and how."""

    call: Callable[[int], Any]
    bytes: int | None
    """That a call holds beside its arguments."""
    wait: Callable[[Any], Any] = jax.block_until_ready


def main(arguments: list[str] | None = None) -> None:
    """Runs the benchmark, prints its table, and prints or writes its record as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--implementations", nargs="+", default=ROWS, choices=ROWS)
    parser.add_argument("--cases", nargs="+", default=list(WORKLOADS), choices=list(WORKLOADS))
    parser.add_argument("--repeats", type=int, default=timing.repeats_here())
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, help="write the record here")
    options = parser.parse_args(arguments)
    if gpu.interpreting():
        parser.error("PALLAS_KERNELS_INTERPRET is set: the interpreter's time says nothing")

    result = {
        **record.origin("pallas_kernels.splat2d.bench", arguments),
        "hardware": record.hardware(),
        "seed": options.seed,
        "repeats": options.repeats,
        "unit": "milliseconds per frame",
        "shapes": {name: workload(name)._asdict() for name in options.cases},
        "rows": [],
        "left_out": [],
    }
    for row in rows(options.cases, options.implementations, options.repeats, options.seed):
        result["left_out" if "reason" in row else "rows"].append(row)
        if options.output is not None:
            record.write(options.output, result)
    for line in zip(*map(_aligned, zip(*lines(result), strict=True)), strict=True):
        print(*line, sep="  ", file=sys.stderr)
    if options.output is None:
        print(json.dumps(result, indent=1))


def workload(name: str) -> Case:
    """A case of the table of shapes, with as many frames as fill what JAX computes on."""
    case = WORKLOADS[name]
    return case._replace(frames=GPU_FRAMES.get(name, case.frames)) if gpu.present() else case


def rows(
    cases: Sequence[str], implementations: Sequence[str], repeats: int, seed: int
) -> Iterator[dict[str, Any]]:
    """The rows of the record; one that is left out has a "reason" instead of figures."""
    for name in cases:
        for implementation in implementations:
            most = batch(workload(name), implementation)
            for frames in dict.fromkeys((most, 1)):
                row = {"case": name, "implementation": implementation, "frames": frames}
                print(f"{name:14} {implementation:14} {frames:5} frames ", end="", file=sys.stderr)
                try:
                    case = workload(name)._replace(frames=frames)
                    cells = measure(case, implementation, repeats, seed)
                except Exception as error:  # of one row: the others are still wanted
                    reason = f"{type(error).__name__}: {error}"
                    print(f"left out: {reason}", file=sys.stderr, flush=True)
                    yield {**row, "reason": reason}
                else:
                    figures = (f"{part} {cell['median']} ms" for part, cell in cells.items())
                    print(", ".join(figures), file=sys.stderr, flush=True)
                    yield {**row, **cells}


def measure(case: Case, implementation: str, repeats: int, seed: int = 0) -> dict[str, Any]:
    """Both passes of a row.

    Raises:
        NotImplementedError: the implementation cannot draw this case, here.
        Exception: what compiling and running it raises.
    """
    floors = roofline.floors(case, jax.devices()[0].device_kind, seed)
    cells = {}
    for name, make in passes(case, implementation, seed).items():
        function = make()
        cells[name] = timing.milliseconds(function.call, case.frames, repeats, function.wait)
        cells[name]["bytes"] = function.bytes and round(function.bytes / case.frames)
        cells[name]["floor"] = floors.get(name) and round(floors[name] / 1e3, 8)
    return cells


def batch(case: Case, implementation: str) -> int:
    """Frames a call: those of the case, or as many as the memory for dense arrays holds; or 1."""
    if implementation == "xla" and gpu.present():
        return min(case.frames, XLA_FRAMES)
    held = _dense(case, implementation)
    return max(1, min(case.frames, _most_elements() // held)) if held else case.frames


def _most_elements() -> int:
    """Of a dense array; a dozen of them are alive in the backward pass."""
    return 2**28 if gpu.present() else 2**25


def _dense(case, implementation):
    """Elements a frame of the largest array that is held, where that is many times the frame."""
    patch = min(case.height * case.width, ((case.window or case.width) + 1) ** 2)
    return case.gaussians * {
        "reference": case.height * case.width,
        "grid_sample": case.channels * case.height * case.width,
        "torch": case.channels * case.height * case.width,
        "base_grid": case.channels * patch,
    }.get(implementation, 0)


def passes(case: Case, implementation: str, seed: int = 0) -> dict[str, Callable[[], Pass]]:
    """What makes the two functions to time, compiled and without arguments.

    Raises:
        NotImplementedError: the implementation cannot draw this case, here.
    """
    if _dense(case, implementation) > _most_elements():
        raise NotImplementedError("dense arrays too large")
    arguments: list[tuple[Any, ...]] = [case.arguments(seed + i) for i in range(SETS)]
    options = dict(case.options)
    if implementation in BASELINES or implementation == "torch":
        if case.window is None or case.window > min(case.height, case.width):
            raise NotImplementedError("needs a window that fits in the frame")
        # The same work in the baseline's own units: means in [-1, 1], scales in (0, 1).
        del options["sampling"]
        size, unit = np.array([case.width, case.height], np.float32), (case.window - 1) / 10
        arguments = [
            (1 - 2 * mean / size, np.float32(scale / unit), rotation, amplitude)
            for mean, scale, rotation, amplitude in arguments
        ]
    if implementation == "torch":
        return _torch_passes(arguments, case.cotangent(seed), options)

    def render(*arrays):
        if implementation in BASELINES:
            return jax.vmap(lambda *frame: BASELINES[implementation](*frame, **options))(*arrays)
        return splat2d(*arrays, **options, implementation=implementation)

    def both(cotangent, *arrays):
        out, pull = jax.vjp(render, *arrays)
        return out, pull(cotangent)

    jax.eval_shape(render, *arguments[0])  # refuses before anything is compiled
    sets = [jax.device_put(arrays) for arrays in arguments]
    cotangent = jax.device_put(case.cotangent(seed))
    return {
        "forward": lambda: _compiled(render, sets),
        "forward+backward": lambda: _compiled(both, [(cotangent, *x) for x in sets]),
    }


def _compiled(function, sets):
    compiled = jax.jit(function).lower(*sets[0]).compile()
    memory = compiled.memory_analysis()
    size = memory and memory.temp_size_in_bytes + memory.output_size_in_bytes
    return Pass(lambda i: compiled(*sets[i % len(sets)]), size)


def _torch_passes(arguments, cotangent, options):
    bench_torch = import_module("pallas_kernels.splat2d.bench_torch")
    calls = bench_torch.passes(arguments, cotangent, options)
    return {
        name: lambda call=call: Pass(call, bench_torch.peak_bytes(call), bench_torch.wait)
        for name, call in calls.items()
    }


def _aligned(column):
    width = max(map(len, column))
    return [cell.rjust(width) for cell in column]


if __name__ == "__main__":
    main()
