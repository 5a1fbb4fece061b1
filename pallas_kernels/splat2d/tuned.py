"""Looks up block shapes that were measured to be fast, in tuned.json, which `splat2d.tune` writes.

The table holds, by device kind and kernel, the options that won on some workloads. A call takes
those of the nearest workload, by the ratios of window, frame area and channels. Workloads with up
to `gather.FEW` channels and with more are kept apart, because they run different kernels. A kernel
that was not searched on a device takes what was found on another one of the same compute
capability, the first in the table; without one it keeps its defaults.
"""

import functools
import json
from collections.abc import Sequence
from math import log2
from pathlib import Path
from typing import Any, NamedTuple

import jax

from pallas_kernels import gpu
from pallas_kernels.splat2d.gather import FEW, Geometry

TABLE = Path(__file__).with_name("tuned.json")


def tuned(kernel: str, geometry: Geometry, channels: int) -> dict[str, Any]:
    """The options of a kernel for a call, {} for its defaults.

    Args:
        kernel: its module's name.
        geometry: of the call.
        channels: of its frames.
    """
    return nearest(entries_here(kernel), geometry, channels)


def entries_here(kernel: str) -> Sequence[dict[str, Any]]:
    """A kernel's entries for `device`: of its kind, else of its compute capability."""
    here, rows = device(), table()
    own = [rows[here.kind]] if here.kind in rows else []
    alike = [x for x in rows.values() if x["compute_capability"] == here.capability is not None]
    return next((x["kernels"][kernel] for x in (*own, *alike) if kernel in x["kernels"]), ())


def nearest(entries: Any, geometry: Geometry, channels: int) -> dict[str, Any]:
    """The options of the entry whose workload is most like a call; {} if none is comparable.

    Args:
        entries: each with "window", "height", "width", "channels" and "options".
        geometry: of the call.
        channels: of its frames.
    """

    def place(height, width, window, channels):
        return log2(window or max(height, width)), log2(height * width), log2(channels)

    def distance(entry):
        there = place(*(entry[k] for k in ("height", "width", "window", "channels")))
        return sum(abs(x - y) for x, y in zip(here, there, strict=True))

    here = place(geometry.height, geometry.width, geometry.window, channels)
    alike = [entry for entry in entries if (entry["channels"] > FEW) == (channels > FEW)]
    return min(alike, key=distance)["options"] if alike else {}


class Device(NamedTuple):
    """What kernels are compiled for; None where it is not known."""

    kind: str | None
    capability: str | None
    """Compute capability, as "9.0"."""


def device() -> Device:
    """The GPU that kernels are compiled for, which need not be here.

    JAX does not know the compute capability of one that is not.
    """
    absent = jax.sharding.get_abstract_mesh().abstract_device
    if absent is not None:
        return Device(absent.device_kind, None)
    if not gpu.present():
        return Device(None, None)
    here = gpu.device()
    return Device(here.device_kind, getattr(here, "compute_capability", None))


@functools.cache
def table() -> dict[str, dict[str, Any]]:
    """Device kind -> its "compute_capability" and its "kernels", name -> entries."""
    return json.loads(TABLE.read_text())
