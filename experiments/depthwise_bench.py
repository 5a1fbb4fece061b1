"""Depthwise and grouped convolution on a CPU: XLA's own, and the forms that pdr_jax uses.

    python -m experiments.depthwise_bench

Writes experiments/results/depthwise_cpu.json: milliseconds and compile seconds of the forward
pass and of both gradients, at the sizes of the published translators. Takes a few minutes.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import Array

from experiments.provenance import RESULTS, record
from pdr_jax.backbones.layers.conv import convolve
from pdr_jax.backbones.layers.depthwise import depthwise_conv, shifted_sum, xla_conv
from pdr_jax.backbones.layers.loop_conv import grouped_conv
from pdr_jax.files import write_json


class Case(NamedTuple):
    """One convolution: input (N, H, W, C), square kernel, dilation, groups, output channels."""

    where: str
    shape: tuple[int, int, int, int]
    kernel: int
    dilation: int = 1
    groups: int = 0  # 0: depthwise
    features: int = 0


CASES = (
    Case("taxibj mlp", (16, 16, 16, 2048), 3),
    Case("taxibj near", (16, 16, 16, 256), 5),
    Case("taxibj far", (16, 16, 16, 256), 7, 3),
    Case("taxibj far, first block", (16, 16, 16, 128), 7, 3),
    Case("kth64 mlp", (4, 32, 32, 2048), 3),
    Case("kth64 near", (4, 32, 32, 256), 5),
    Case("kth64 far", (4, 32, 32, 256), 7, 3),
    Case("kth64 far, narrow", (4, 32, 32, 64), 7, 3),
    Case("taxibj incepu", (16, 16, 16, 128), 11, groups=8, features=256),
)


def forms(case: Case) -> dict[str, Callable[[Array, Array], Array]]:
    """The ways to compute a case, (x, kernel) -> out; the last is the one that pdr_jax uses."""
    if case.groups:
        return {
            "lax.conv": lambda x, k: grouped_conv(x, k, 1, case.groups, case.dilation),
            "pdr_jax": lambda x, k: convolve(x, k, 1, case.groups, case.dilation),
        }
    return {
        "lax.conv": lambda x, k: xla_conv(x, k, case.dilation),
        "shifted sum": lambda x, k: shifted_sum(x, k, case.dilation),  # gradients by JAX
        "pdr_jax": lambda x, k: depthwise_conv(x, k, dilation=case.dilation),
    }


def passes(form: Callable[[Array, Array], Array]) -> dict[str, Callable[..., Array]]:
    """The forward pass and the two gradients, each alone, of (x, kernel, cotangent)."""
    return {
        "forward": lambda x, k, g: form(x, k),
        "input gradient": lambda x, k, g: jax.vjp(lambda x: form(x, k), x)[1](g)[0],
        "kernel gradient": lambda x, k, g: jax.vjp(lambda k: form(x, k), k)[1](g)[0],
    }


def measure(function: Callable[..., Array], arguments: list[Array], repeats: int) -> dict[str, Any]:
    """Compile seconds, and milliseconds over `repeats` runs."""
    start = time.perf_counter()
    compiled = jax.jit(function).lower(*arguments).compile()
    compile_s = time.perf_counter() - start
    jax.block_until_ready(compiled(*arguments))
    milliseconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(compiled(*arguments))
        milliseconds.append(1e3 * (time.perf_counter() - start))
    lower, median, upper = statistics.quantiles(milliseconds, n=4)
    return {
        "min_ms": round(min(milliseconds), 2),
        "median_ms": round(median, 2),
        "quartiles_ms": [round(lower, 2), round(upper, 2)],
        "compile_s": round(compile_s, 2),
    }


def rows(seed: int, repeats: int) -> Iterator[dict[str, Any]]:
    """Every case, pass and form, measured."""
    for case in CASES:
        rng = np.random.default_rng(seed)
        channels = case.shape[-1]
        features = case.features or channels
        inputs = channels // case.groups if case.groups else 1
        shapes = (
            case.shape,
            (case.kernel, case.kernel, inputs, features),
            (*case.shape[:-1], features),
        )
        arguments = [jax.numpy.asarray(rng.standard_normal(shape, np.float32)) for shape in shapes]
        for form_name, form in forms(case).items():
            for pass_name, function in passes(form).items():
                row = {**case._asdict(), "pass": pass_name, "form": form_name}
                row |= measure(function, arguments, repeats)
                print(f"{case.where:24} {pass_name:16} {form_name:12} {row['min_ms']:9.2f} ms "
                      f"compile {row['compile_s']:5.2f} s", flush=True)  # fmt: skip
                yield row


def main() -> None:
    """Measures everything and writes the result."""
    parser = argparse.ArgumentParser(description="Times depthwise convolution on a CPU.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    jax.config.update("jax_platforms", "cpu")
    result = record(seeds=[options.seed])
    result["load_before"] = round(os.getloadavg()[0], 1)  # of everything else on the machine
    result["repeats"] = options.repeats
    result["rows"] = list(rows(options.seed, options.repeats))
    write_json(RESULTS / "depthwise_cpu.json", result)


if __name__ == "__main__":
    main()
