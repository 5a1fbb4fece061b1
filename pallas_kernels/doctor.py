"""What runs here, and why the rest does not: python -m pallas_kernels [--check].

Every implementation is tried, see `trial`: lowered, compiled and run forward and backward on small
frames. With --check, values and gradients are also compared with the definition in float64.
"""

import argparse
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pallas_kernels import gpu, trial
from pallas_kernels.choice import Kernel, chosen
from pallas_kernels.splat2d.api import KERNEL as SPLAT2D
from pallas_kernels.splat2d.api import splat2d
from pallas_kernels.splat2d.shapes import Case
from pallas_kernels.ssim.api import KERNEL as SSIM
from pallas_kernels.ssim.api import ssim

PACKAGES = (
    *("pdr-jax", "jax", "jaxlib", "jax-cuda12-plugin", "jax-cuda13-plugin", "jax-rocm7-plugin"),
    *("triton", "jax-triton"),
)
LIMIT = 3e-5
"""Of the largest error, in units of the largest value."""


class Call(NamedTuple):
    """A small call of a kernel, in float32."""

    function: Callable
    """Of the arrays and `implementation`."""
    arrays: Sequence[np.ndarray]


def examples() -> list[tuple[Kernel, list[Call]]]:
    """One call for each kind of code: few and many channels of splat2d, and ssim."""
    drawn = []
    for channels in (3, 12):
        case = Case(2, 14, 12, channels, 20, 7)
        drawn.append(Call(partial(splat2d, **case.options), case.arguments()))
    x, y = np.random.default_rng(0).random((2, 2, 14, 12, 3), np.float32)
    return [(SPLAT2D, drawn), (SSIM, [Call(ssim, [x, 0.7 * x + 0.3 * y])])]


class Row(NamedTuple):
    """What is found of an implementation."""

    kernel: str
    implementation: str
    here: str
    """ "default", "runs", "refused", "fails" or "WRONG"."""
    why: str


def rows(kernel: Kernel, calls: Sequence[Call], check: bool) -> Iterator[Row]:
    """One for each implementation of a kernel."""
    found = {name: _found(calls, name, check) for name in kernel.implementations}
    try:
        wanted = chosen(kernel, None)
    except ValueError:  # the environment variable is wrong, which `report` says
        wanted = ()
    default = next((name for name in wanted if found[name][0] == "runs"), None)
    for name, (here, why) in found.items():
        yield Row(kernel.name, name, "default" if name == default else here, why)


def _found(calls: Sequence[Call], name: str, check: bool) -> tuple[str, str]:
    """`here` and `why` of an implementation."""
    errors = []
    for function, arrays in calls:
        named = partial(function, implementation=name)
        try:
            reason = trial.failure(named, [jnp.asarray(x) for x in arrays], {})
        except NotImplementedError as refusal:
            return "refused", str(refusal).partition(f"{name}: ")[2]
        if reason is not None:
            return "fails", reason
        if check:
            errors.append(_error(named, partial(function, implementation="reference"), arrays))
    here = "WRONG" if any(not error <= LIMIT for error in errors) else "runs"
    return here, f"error {max(errors):.0e}" if check else ""


def _error(function: Callable, definition: Callable, arrays: Sequence[np.ndarray]) -> float:
    """The largest error of the value and a gradient, in units of the largest one's."""
    got = jax.device_get(jax.jit(partial(trial.value_and_cotangents, function))(*arrays))
    with jax.enable_x64(True):
        wide = (x.astype(np.float64) for x in arrays)
        want = jax.device_get(jax.jit(partial(trial.value_and_cotangents, definition))(*wide))
    pairs = zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True)
    return max(float(np.abs(x - y).max() / np.abs(y).max()) for x, y in pairs)


def report(kernels: Sequence[Kernel], found: Sequence[Row]) -> Iterator[str]:
    """The lines that are printed."""
    yield ", ".join(f"{x} {_version(x)}" for x in PACKAGES if _version(x))
    if missing := [x for x in ("triton", "jax-triton") if not _version(x)]:
        yield f"not installed: {', '.join(missing)}"
    device = gpu.device()
    capability = getattr(device, "compute_capability", None)
    yield f"device: {device.device_kind}, platform {device.platform}" + (
        f", compute capability {capability}" if capability else ""
    )
    if not gpu.present() and (shutil.which("nvidia-smi") or Path("/dev/nvidia0").exists()):
        plugin = any(_version(x) for x in PACKAGES if "cuda" in x)
        yield "note: this machine has an NVIDIA GPU that JAX does not compute on" + (
            "" if plugin else ": no CUDA plugin is installed, see https://docs.jax.dev/installation"
        )
    yield ""
    table = [("kernel", "implementation", "here", ""), *found]
    widths = [max(len(line[i]) for line in table) for i in range(3)]
    for line in table:
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=False)]
        yield "  ".join([*cells, " ".join(line[3].split())[:300]]).rstrip()
    yield ""
    for kernel in kernels:
        yield f"{kernel.variable}: {os.environ.get(kernel.variable) or 'not set'}"
        try:
            chosen(kernel, None)
        except ValueError as error:
            yield f"  {error}"
    yield f"PALLAS_KERNELS_INTERPRET: {os.environ.get('PALLAS_KERNELS_INTERPRET') or 'not set'}"


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the report; 1 if an implementation is wrong."""
    parser = argparse.ArgumentParser("python -m pallas_kernels", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with the definition, too")
    check = parser.parse_args(arguments).check
    tried = examples()
    found = [row for kernel, calls in tried for row in rows(kernel, calls, check)]
    print(*report([kernel for kernel, _ in tried], found), sep="\n")
    return int(any(row.here == "WRONG" for row in found))
