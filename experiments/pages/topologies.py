"""The page on whole training steps that were compiled for devices that are not here."""

import inspect
from collections.abc import Mapping
from typing import Any

from experiments import topologies_model
from experiments.pages.markdown import bullets, figure, origin, page, paragraph, table, words
from experiments.topologies_model import CHIPS, HARDWARE

READING = """\
One training step of TAU: forward, loss, backward, optimiser; float32; data parallel. Figures are
those of one device. Memory is that of state, batch and temporaries. Operations and MiB are those
of all-reduces (the gradients, and means of batch norms over all clips); "others" counts
all-gathers, reduce-scatters, all-to-alls and permutations. Loops are XLA's `while`, whose bodies
count once in FLOPs and bytes; those and the Triton kernels make a step longer than the model says.
"small" is a narrow TAU on TaxiBJ's frames. FLOPs and bytes of a GPU's step are read from its
program, because XLA counts them only where the GPU is.
"""

PREDICTED = """\
Predicted, not measured: the model below, with the same clips a chip on more chips. Computation is
the least that peak rates allow, and nothing overlaps, so with a chip's real, longer steps the share
of the all-reduces is smaller.
"""


def document(result: dict[str, Any]) -> str:
    """What each step needs and moves, what did not compile, and the predicted scaling."""
    compiled = [row for row in result["runs"] if "error" not in row]
    failed = [f"{row['name']}: {row['error']}" for row in result["runs"] if "error" in row]
    return page(
        "# Whole training steps, compiled for devices that are not here\n",
        READING,
        origin(result),
        table(
            [
                "",
                "clips a device",
                "memory, MiB",
                "all-reduces",
                "MiB",
                "others",
                "loops",
                "GFLOP",
                "GB",
                "compile, s",
                "commit",
            ],
            [_row(row) for row in compiled],
        ),
        "Not compiled:\n" if failed else "",
        bullets(*failed),
        "## Scaling on paper\n",
        PREDICTED,
        table(
            [
                "",
                "chip",
                "clips",
                "computation, ms",
                f"all-reduces of {CHIPS[0]}, ms",
                *(f"{n} chips" for n in CHIPS),
            ],
            [line for row in compiled if row["data"] != "small" for line in _predicted(row)],
        ),
        inspect.cleandoc(topologies_model.__doc__ or "").partition("\n\n")[2],
        table(
            ["", "TFLOP/s", "memory, GB/s", "GB", "link, GB/s", "group", "between, GB/s", "us"],
            [
                [
                    name,
                    f"{x.flops / 1e12:g}",
                    *(f"{y / 1e9:g}" for y in (x.bandwidth, x.memory, x.link)),
                    str(x.group),
                    f"{x.between / 1e9:g}",
                    f"{x.latency * 1e6:g}",
                ]
                for name, x in HARDWARE.items()
            ],
        ),
        paragraph(
            "Latency is assumed. Sources: "
            + "; ".join(f"{name}: {x.source}" for name, x in HARDWARE.items())
            + "."
        ),
    )


def summary(result: Mapping[str, Any]) -> str:
    """The front's words on it."""
    compiled = [row for row in result["runs"] if "error" not in row]
    alone = sum(set(row["collectives"]) == {"all-reduce"} for row in compiled)
    places = words(list(dict.fromkeys(row["topology"] for row in compiled)))
    return page(
        "## [Devices that are not here](results/topologies.md): what does a step move?\n",
        paragraph(
            f"Whole training steps of TAU, with and without PDR, were compiled for {places}: "
            f"{alone} of {len(compiled)} send nothing between devices but all-reduces, of the "
            "gradients and of batch norms. How they would scale to 512 chips is predicted."
        ),
    )


def _model(row: dict[str, Any]) -> str:
    model = "TAU" if row["adapter"] == "none" else f"TAU + PDR {row['adapter']}"
    return f"{row['data']}, {model}{', remat' if row['remat'] else ''}"


def _row(row: dict[str, Any]) -> list[str]:
    moved = dict(row["collectives"])
    reduced = moved.pop("all-reduce")
    return [
        f"{_model(row)}, {row['topology']}",
        str(row["clips"]),
        figure(sum(row["memory_bytes"].values()) / 2**20),
        str(reduced["operations"]),
        figure(reduced["bytes"] / 2**20),
        str(sum(x["operations"] for x in moved.values())),
        str(len(row["loops"])),
        figure(row["flops"] / 1e9),
        figure(row["bytes_accessed"] / 1e9),
        figure(row["compile_seconds"]),
        row["commit"][:7],
    ]


def _predicted(row: dict[str, Any]) -> list[list[str]]:
    lines = []
    for name in topologies_model.chips_of(row["topology"]):
        chip = HARDWARE[name]
        work = figure(1e3 * topologies_model.computation(row, chip))
        reduced = figure(1e3 * topologies_model.all_reduces(row, chip, CHIPS[0]))
        shares = (topologies_model.efficiency(row, chip, count) for count in CHIPS)
        loops = " and loops" if row["loops"] else ""
        cells = [f"{work}{loops}", reduced, *(f"{100 * x:.0f} %" for x in shares)]
        lines.append([_model(row), name, str(row["clips"]), *cells])
    return lines
