"""How long a training step would take on many chips, from what its compiled program does.

Nothing here was measured on these chips. A step takes its computation, bound by arithmetic or by
memory, and then its all-reduces; nothing overlaps:

    computation = max(FLOPs / peak, bytes / memory bandwidth)
    all-reduces = operations * 2 log2(chips) * latency
                  + 2 bytes (g - 1) / g / link + 2 bytes / g (m - 1) / m / between

with m groups of g chips each: first in a group, then each chip its share between groups. With a
fixed number of clips a chip, efficiency is computation / (computation + all-reduces).
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

CHIPS = (8, 64, 512)


class Hardware(NamedTuple):
    """A chip, and what joins it to others.

    Attributes:
      flops: peak a second, of float32 products as JAX computes them by default: in TF32 on GPUs,
        in bfloat16 on TPUs.
      bandwidth: of its memory, bytes a second.
      memory: bytes.
      link: bytes a second that it sends to others of its group.
      group: chips that such links join.
      between: bytes a second that it sends to other groups.
      latency: seconds of a message. Assumed.
      source: of the figures but `latency`.
    """

    flops: float
    bandwidth: float
    memory: float
    link: float
    group: int
    between: float
    latency: float
    source: str


HARDWARE = {
    "H100": Hardware(
        495e12, 3.35e12, 80e9, 450e9, 8, 50e9, 2e-6,
        "data sheet of H100 SXM (no sparsity, NVLink one way); a 400 Gb/s adapter a GPU",
    ),
    "H200": Hardware(
        495e12, 4.8e12, 141e9, 450e9, 8, 50e9, 2e-6,
        "data sheet of H200 SXM (no sparsity, NVLink one way); a 400 Gb/s adapter a GPU",
    ),
    "v5e": Hardware(
        197e12, 819e9, 16e9, 200e9, 256, 3.125e9, 1e-6,
        "Cloud TPU's page on v5e (interconnect one way; a pod's network shared by its 256 chips)",
    ),
}  # fmt: skip


def chips_of(topology: str) -> tuple[str, ...]:
    """The keys of HARDWARE that a compiled topology stands for; both GPUs run the same code."""
    if topology.startswith("v5e"):
        return ("v5e",)
    return ("H100", "H200") if topology.endswith("H200") else ()


def computation(row: Mapping[str, Any], chip: Hardware) -> float:
    """Seconds at least, of a row of the result; bodies of loops count once in it."""
    return max(row["flops"] / chip.flops, row["bytes_accessed"] / chip.bandwidth)


def all_reduces(row: Mapping[str, Any], chip: Hardware, chips: int) -> float:
    """Seconds of a row's all-reduces over so many chips."""
    found = row["collectives"]["all-reduce"]
    group = min(chips, chip.group)
    groups = chips // group
    inside = 2 * found["bytes"] * (group - 1) / group / chip.link
    between = 2 * found["bytes"] / group * (groups - 1) / groups / chip.between
    return found["operations"] * 2 * math.log2(chips) * chip.latency + inside + between


def efficiency(row: Mapping[str, Any], chip: Hardware, chips: int) -> float:
    """Clips a second over `chips` times those of one chip."""
    work = computation(row, chip)
    return work / (work + all_reduces(row, chip, chips))
