"""The block shapes that `tune` tries."""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, NamedTuple

from pallas_kernels.splat2d import gather


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
            {"gaussians": 4, "together": 1},
            {"gaussians": 32, "together": 8},
            {"gaussians": 16, "together": 4},
            {"gaussians": 8, "together": 2},
            {"gaussians": 2},
            {"gaussians": 8},
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
            {"owned": 32, "warps": 8},
            {"warps": 1},
            {"owned": 8},
            {"owned": 32},
            {"rows": 8},
            {"warps": 2},
            {"warps": 4},
        ],
    ),
}
"""By the module's name."""


def options_of(kernel: str) -> Callable[..., Any]:
    """The class of a kernel's options, or dict."""
    name = KERNELS[kernel].options
    return getattr(import_module(f"pallas_kernels.splat2d.{kernel}"), name) if name else dict
