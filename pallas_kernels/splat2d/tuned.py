"""Looks up block shapes that were measured to be fast, in tuned.json, which `splat2d.tune` writes.

The table holds, by device kind and kernel, the options that won on some workloads. A call takes
those of the nearest workload, by the ratios of window, frame area and channels. Workloads with up
to `gather.FEW` channels and with more are kept apart, because they run different kernels. On a
device that is not in the table every kernel keeps its defaults.
"""

import functools
import json
from math import log2
from pathlib import Path
from typing import Any

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
    return nearest(table().get(device_kind() or "", {}).get(kernel, ()), geometry, channels)


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


def device_kind() -> str | None:
    """Of the GPU that kernels are compiled for, which need not be here; None if there is none."""
    absent = jax.sharding.get_abstract_mesh().abstract_device
    if absent is not None:
        return absent.device_kind
    return gpu.device().device_kind if gpu.present() else None


@functools.cache
def table() -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Device kind -> kernel -> entries."""
    return json.loads(TABLE.read_text())
