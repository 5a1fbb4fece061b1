"""Finds fast block shapes on the GPU that is here: python -m pallas_kernels.splat2d.tune.

Each kernel runs each workload with its defaults and with a few other options, alone and on packed
Gaussians. A candidate counts if it draws what the defaults draw. The winners replace this device
kind's part of tuned.json. The search takes at most --seconds: the time that is left is shared
equally among the searches that are left.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from pallas_kernels import gpu
from pallas_kernels.splat2d import factor, gather, tuned
from pallas_kernels.splat2d.bench import workload
from pallas_kernels.splat2d.shapes import WORKLOADS, Case
from pallas_kernels.tools import timing

GAIN = 1.03
"""A candidate wins if it is this much faster than the defaults."""

TOLERANCE = 1e-4
"""Of a candidate's results, relative to the largest: sums run in another order."""

SECONDS = 400
REPEATS = 5


class Kernel(NamedTuple):
    """What there is to choose in a kernel. Candidates that are likely to win come first."""

    options: str | None
    """The class in its module that holds its options; None where they are a dictionary."""
    channels: range
    """That it is used for."""
    candidates: Sequence[dict[str, Any]]


FEW, MANY, ANY = range(gather.FEW + 1), range(gather.FEW + 1, 10**6), range(10**6)

KERNELS = {
    "pallas_triton": Kernel(
        "Tile",
        FEW,
        [
            {"down": 2, "across": 2},
            {"down": 4, "across": 2},
            {"down": 2, "across": 4},
            {"down": 2, "across": 1},
            {"down": 4, "across": 8},
            {"rows": 8, "columns": 8, "down": 2, "across": 4, "warps": 2},
            {"rows": 8, "columns": 16, "down": 4, "across": 2, "warps": 4},
            {"rows": 2, "columns": 16, "down": 8, "across": 2},
        ],
    ),
    "pallas_triton_matrix": Kernel(
        "Product",
        MANY,
        [
            {"side": 16, "warps": 8},
            {"channels": 32},
            {"channels": 128},
            {"channels": 32, "warps": 2},
            {"side": 16, "channels": 32, "warps": 8},
        ],
    ),
    "pallas_triton_vjp": Kernel(
        "Sweep",
        ANY,
        [
            {"gaussians": 2},
            {"gaussians": 8},
            {"gaussians": 1},
            {"across": 2},
            {"across": 4},
            {"across": 2, "down": 2},
            {"rows": 2, "columns": 16},
            {"channels": 8},
        ],
    ),
    "pallas_mosaic": Kernel(
        "Tile",
        ANY,
        [{"down": down, "across": across} for down, across in ((1, 1), (2, 1), (2, 2), (4, 2))],
    ),
    "jax_triton": Kernel(
        None,
        ANY,
        [
            {"rows": 8},
            {"rows": 32},
            {"warps": 2},
            {"warps": 4},
            {"columns": 32},
            {"rows": 8, "columns": 32},
            {"rows": 32, "columns": 32, "warps": 4},
        ],
    ),
    "jax_triton_vjp": Kernel(
        None,
        ANY,
        [
            {"owned": 8},
            {"owned": 32},
            {"rows": 8},
            {"rows": 4},
            {"columns": 32},
            {"warps": 2},
            {"warps": 4},
        ],
    ),
}
"""By the module's name."""


def main(arguments: list[str] | None = None) -> None:
    """Searches and writes the table."""
    exact = [name for name, case in WORKLOADS.items() if case.sampling == "exact"]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kernels", nargs="+", default=list(KERNELS), choices=list(KERNELS))
    parser.add_argument("--cases", nargs="+", default=exact, choices=exact)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    options = parser.parse_args(arguments)
    if not gpu.present() or gpu.interpreting():
        parser.error(
            "needs a GPU: block shapes are chosen by how fast they are on one, and JAX computes on "
            f"{'its interpreter' if gpu.interpreting() else jax.default_backend()} here"
        )

    pairs = [
        (kernel, name)
        for name in options.cases
        for kernel in options.kernels
        if WORKLOADS[name].channels in KERNELS[kernel].channels
    ]
    kind = jax.devices()[0].device_kind
    tuned.table().pop(kind, None)  # the defaults are the kernels' own
    found: dict[str, list[dict[str, Any]]] = {}
    end = time.monotonic() + options.seconds
    for i, (kernel, name) in enumerate(pairs):
        now = time.monotonic()
        until = now + (end - now) / (len(pairs) - i)
        print(f"{kernel} on {name}, {until - now:.0f} s", flush=True)
        best = search(kernel, workload(name), until)
        if best is not None:
            shape = {k: getattr(WORKLOADS[name], k) for k in ("height", "width", "channels")}
            entry = {**shape, "window": WORKLOADS[name].window, "options": best}
            found.setdefault(kernel, []).append(entry)
    table = json.loads(tuned.TABLE.read_text())
    table[kind] = {**table.get(kind, {}), **found}
    tuned.TABLE.write_text(json.dumps(table, indent=1) + "\n")
    print(f"written: {tuned.TABLE.name}, {kind}")


def search(kernel: str, case: Case, until: float) -> dict[str, Any] | None:
    """The fastest options of a kernel for a case, {} for its defaults; None if it does not run.

    Args:
        kernel: a name in `KERNELS`.
        case: what it draws.
        until: when to stop, by time.monotonic.
    """
    run = caller(kernel, case)
    best: dict[str, Any] = {}
    least = expected = None
    for candidate in ({}, *KERNELS[kernel].candidates):
        if least is not None and time.monotonic() > until:
            print("  out of time")
            break
        try:
            call = run(candidate)
            got = call(0)
        except Exception as error:  # what one GPU can do may be too much for another
            first, *_ = str(error).splitlines() or [""]
            print(f"  {candidate or 'defaults'}: {type(error).__name__}: {first}")
            if not candidate:
                return None
            continue
        if expected is None:
            expected = got
        elif not alike(got, expected):
            print(f"  {candidate}: draws something else")
            continue
        took = timing.milliseconds(call, case.frames, REPEATS)["median"]
        print(f"  {candidate or 'defaults'}: {took * 1e3:.4g} us a frame", flush=True)
        if least is None or took * (1 if best else GAIN) < least:
            best, least = candidate, took
    return best


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
        function, last = module.backward, jnp.asarray(case.cotangent())
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
        call = jax.jit(lambda *arrays: function(geometry, *arrays, chosen))
        return lambda i: call(gaussians, amplitude, last)

    return compiled


def options_of(kernel: str) -> Callable[..., Any]:
    """The class of a kernel's options, or dict."""
    name = KERNELS[kernel].options
    return getattr(import_module(f"pallas_kernels.splat2d.{kernel}"), name) if name else dict


def alike(got: Any, expected: Any) -> bool:
    """Whether all results differ by no more than rounding."""
    pairs = zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True)
    return all(bool(jnp.max(jnp.abs(x - y)) <= TOLERANCE * jnp.max(jnp.abs(y))) for x, y in pairs)


if __name__ == "__main__":
    main()
