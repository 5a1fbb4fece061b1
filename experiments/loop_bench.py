"""Operations inside the scans of recurrent predictors, on a CPU: XLA's forms and pdr_jax's.

    python -m experiments.loop_bench

The gradient of convolutions in a scan (layers/loop_conv.py), the selective scan of VMRNN
(layers/selective_scan.py) and WaST's large depthwise kernels (layers/depthwise.py). Writes
experiments/results/loops_cpu.json. Takes minutes: some of XLA's forms are slow.
"""

import argparse
import os
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from experiments.depthwise_bench import measure
from experiments.provenance import RESULTS, record
from pdr_jax.backbones.layers.depthwise import cpu_conv
from pdr_jax.backbones.layers.depthwise import xla_conv as depthwise_by_xla
from pdr_jax.backbones.layers.loop_conv import loop_conv, xla_conv
from pdr_jax.backbones.layers.selective_scan import definition, parallel, stepwise
from pdr_jax.files import write_json

STEPS = 2
Form = Callable[..., Array]


def recurrent(convolve: Form) -> Form:
    """A scan of a 5x5 convolution from C to 4 C channels, as a recurrent cell's gates have."""
    settings = ((1, 1), ((2, 2), (2, 2)), (1, 1), (1, 1))

    def run(x: Array, kernel: Array) -> Array:
        def step(x: Array, _: None) -> tuple[Array, None]:
            return jnp.tanh(convolve(x, kernel, *settings)[..., : x.shape[-1]]), None

        return lax.scan(step, x, None, length=STEPS)[0]

    return run


def gradients(form: Form) -> Callable[..., Any]:
    """Of the sum of squares, with respect to all arguments."""

    def value(arguments: tuple[Array, ...]) -> Array:
        return jnp.square(form(*arguments)).sum()

    return lambda *arguments: jax.grad(value)(arguments)


def cases(rng: np.random.Generator) -> list[tuple[str, dict[str, Form], tuple[Array, ...]]]:
    """What is measured: a name, its forms (pdr_jax's on a CPU last), and arguments."""

    def normal(*shape: int) -> Array:
        return jnp.asarray(rng.normal(0, 0.1, shape), jnp.float32)

    def scanned(length: int) -> tuple[Array, ...]:
        u, delta = normal(length, 2, 256), jnp.abs(normal(length, 2, 256))
        return u, delta, -jnp.abs(normal(16, 256)), normal(length, 2, 16), normal(length, 2, 16)

    scans: dict[str, Form] = {"definition": definition, "parallel": parallel, "stepwise": stepwise}
    wide: dict[str, Form] = {
        "lax.conv": lambda x, k: depthwise_by_xla(x, k, 1),
        "pdr_jax": lambda x, k: cpu_conv(x, k, 1),
    }
    return [
        (
            "5x5 convolution, 64 to 256 channels, 4 maps of 16x16, two steps",
            {"lax.conv": recurrent(xla_conv), "loop_conv": recurrent(loop_conv)},
            (normal(4, 16, 16, 64), normal(5, 5, 64, 256)),
        ),
        ("selective scan, 2 x 256 positions, D 256, N 16", scans, scanned(256)),
        ("selective scan, 2 x 1024 positions, D 256, N 16", scans, scanned(1024)),
        ("depthwise 51x5, 4 maps of 32x32, 64 channels", wide,
         (normal(4, 32, 32, 64), normal(51, 5, 1, 64))),
        ("depthwise 11x11, 4 maps of 32x32, 64 channels", wide,
         (normal(4, 32, 32, 64), normal(11, 11, 1, 64))),
    ]  # fmt: skip


def main() -> None:
    """Measures everything and writes the result."""
    parser = argparse.ArgumentParser(description="Times what runs in scans on a CPU.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    jax.config.update("jax_platforms", "cpu")
    result = record(seeds=[options.seed])
    result |= {"load_before": round(os.getloadavg()[0], 1), "repeats": options.repeats, "rows": []}
    for name, forms, arguments in cases(np.random.default_rng(options.seed)):
        for form, function in forms.items():
            row: dict[str, Any] = {"case": name, "form": form}
            for label, measured in (("forward", function), ("gradient", gradients(function))):
                row[label] = measure(measured, list(arguments), options.repeats)
            result["rows"].append(row)
            print(name, form, row["forward"]["min_ms"], row["gradient"]["min_ms"], flush=True)
    write_json(RESULTS / "loops_cpu.json", result)


if __name__ == "__main__":
    main()
