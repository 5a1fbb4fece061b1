"""I3D's trained arrays: their names and shapes in PyTorch's files, and as Flax variables."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from pdr_jax.metrics.i3d.network import MIXED

# (width of the input, width of the output, side of the kernel) of the layers before the modules.
_FIRST = {
    "Conv3d_1a_7x7": (3, 64, 7),
    "Conv3d_2b_1x1": (64, 64, 1),
    "Conv3d_2c_3x3": (64, 192, 3),
}


def expected_arrays(classes: int = 400) -> dict[str, tuple[int, ...]]:
    """Names and shapes of pytorch-i3d's state dict, kernels OITHW; counters are left out."""
    units, width = dict(_FIRST), 192
    for name, w in MIXED.items():
        units |= {
            f"{name}.b0": (width, w[0], 1),
            f"{name}.b1a": (width, w[1], 1),
            f"{name}.b1b": (w[1], w[2], 3),
            f"{name}.b2a": (width, w[3], 1),
            f"{name}.b2b": (w[3], w[4], 3),
            f"{name}.b3b": (width, w[5], 1),
        }
        width = w[0] + w[2] + w[4] + w[5]
    arrays: dict[str, tuple[int, ...]] = {}
    for name, (cin, cout, k) in units.items():
        arrays[f"{name}.conv3d.weight"] = (cout, cin, k, k, k)
        for part in ("weight", "bias", "running_mean", "running_var"):
            arrays[f"{name}.bn.{part}"] = (cout,)
    arrays["logits.conv3d.weight"] = (classes, width, 1, 1, 1)
    arrays["logits.conv3d.bias"] = (classes,)
    return arrays


def variables(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Flax variables of `network.I3D`, from arrays named as in `expected_arrays`."""
    made: dict[str, Any] = {"params": {}, "batch_stats": {}}
    for name, array in arrays.items():
        *path, part = name.split(".")
        if path[0] == "logits":
            path = ["logits"]
        collection, leaf = _leaf(path[-1], part)
        place = made[collection]
        for step in path:
            place = place.setdefault(step, {})
        place[leaf] = array.transpose(2, 3, 4, 1, 0) if array.ndim == 5 else array
    return made


def _leaf(module: str, part: str) -> tuple[str, str]:
    """Collection and name in Flax of a module's array in PyTorch."""
    if part.startswith("running_"):
        return "batch_stats", part.removeprefix("running_")
    if part == "weight":
        return "params", "scale" if module == "bn" else "kernel"
    return "params", part
