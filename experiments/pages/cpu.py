"""The pages on what else was timed on a CPU: convolutions, scans and the data loader."""

from collections.abc import Mapping
from typing import Any

import pdr_datasets
from experiments.pages.markdown import figure, origin, page, table


def convolutions(result: dict[str, Any]) -> str:
    """Depthwise and grouped convolution: a row for each form, a column for each pass."""
    passes = list(dict.fromkeys(row["pass"] for row in result["rows"]))
    times: dict[tuple[str, ...], dict[str, str]] = {}
    for row in result["rows"]:
        count, height, width, channels = row["shape"]
        kernel = f"{row['kernel']}x{row['kernel']}"
        if row["dilation"] > 1:
            kernel += f" dilated {row['dilation']}"
        if row["groups"]:
            kernel += f", {row['groups']} groups"
        head = (row["where"], f"{count}x{height}x{width}x{channels}", kernel, row["form"])
        times.setdefault(head, {})[row["pass"]] = f"{row['min_ms']:.3g}"
    rows = [[*head, *(cell.get(name, "") for name in passes)] for head, cell in times.items()]
    return page(
        "# Depthwise and grouped convolution on a CPU\n",
        f"Milliseconds, the least of {result['repeats']} (load {result['load_before']}: other "
        "work ran beside it).\n",
        origin(result),
        table(["", "input", "kernel", "form", *passes], rows),
    )


def loops(result: dict[str, Any]) -> str:
    """Operations that run in scans: a row for each form."""
    rows = [
        [
            row["case"],
            row["form"],
            *(f"{row[label]['min_ms']:#.3g}" for label in ("forward", "gradient")),
            *(f"{row[label]['compile_s']:.1f}" for label in ("forward", "gradient")),
        ]
        for row in result["rows"]
    ]
    return page(
        "# Operations inside the scans of recurrent predictors, on a CPU\n",
        f"Milliseconds, the least of {result['repeats']} (load {result['load_before']}), and "
        "seconds to compile. On a CPU, pdr_jax uses the last form of each case.\n",
        origin(result),
        table(
            ["", "form", "forward", "gradient", "compile forward, s", "compile gradient, s"], rows
        ),
    )


LOADER_READING = """\
"To spare" is the pipeline's best rate over the rate of TAU's step on this machine: a device that
trains so many times faster would begin to wait for streamed clips. Threads bring little, because
reading is mostly Python's work. Where the distinct frames of the training split fit into
`resident_mib`, batches are gathered on the device instead. On a CPU that changes training no more
than two runs differ; it is meant for accelerators and off by default.
"""


def loader(result: dict[str, Any]) -> str:
    """How fast clips arrive, and how fast TAU takes them."""
    rows, held = [], []
    for row in result["rows"]:
        name = row["data"] + (", real files" if row["real"] else "")
        best = max(row["pipeline"].values())
        rows.append(
            [
                f"{name} {'x'.join(map(str, row['clip']))} {row['dtype']}",
                *(f"{rate:,.0f}" for rate in row["pipeline"].values()),
                f"{best * row['clip_bytes'] / 2**20:,.0f}",
                f"{row['step']:#.3g} ({row['step_batch']})",
                f"{best / row['step']:,.0f}x",
                f"{row['load']:.1f}",
            ]
        )
        if there := row.get("resident"):
            sizes = (f"{there[key]:,.0f}" for key in ("mib", "clips_mib"))
            rates = (f"{there[key]:,.0f}" for key in ("streamed", "gathered"))
            steps = (f"{rate:#.3g}" for rate in (row["step"], there["step"]))
            held.append([name, *sizes, f"{there['seconds']:.1f}", *rates, *steps])
    missing = sorted(set(pdr_datasets.names()) - {row["data"] for row in result["rows"]})
    batch = ", ".join(dict.fromkeys(str(row["batch_size"]) for row in result["rows"]))
    threads = [f"{count} threads" for count in result["rows"][0]["pipeline"]]
    return page(
        "# Loading speed on a CPU\n",
        f"Samples a second, shuffled, in batches of {batch}: of the pipeline, and of TAU's "
        "training step in float32 at the benchmark's size (its batch in brackets, smaller where "
        "the full one takes minutes). The files are made for the measurement, in the real formats "
        "and frame sizes but with few samples, so the operating system reads them from memory. "
        "The last column is the load average. Figures differ from run to run."
        f"{' Not measured: ' + ', '.join(missing) + '.' if missing else ''}\n",
        origin(result),
        LOADER_READING,
        table(
            ["", *threads, "MiB/s, best", "TAU's step", "to spare", "load"],
            rows,
        ),
        "With the training split on the device (`resident_mib=256`): MiB of its distinct frames "
        "and of its clips, seconds to read it, samples a second put on the device when streamed "
        "and when gathered, and samples a second of training with either.\n",
        table(
            [
                "",
                "frames, MiB",
                "clips, MiB",
                "read, s",
                "streamed",
                "gathered",
                "training, streamed",
                "training, gathered",
            ],
            held,
        ),
    )


def steps(result: dict[str, Any]) -> str:
    """What an adapter adds to a training step."""
    rows = [
        [
            row["size"],
            "plain" if row["adapter"] == "none" else f"PDR {row['adapter']}",
            str(row["batch"]),
            f"{row['parameters']:,}",
            figure(row["cpu"]),
            f"{ratio:.2f}",
        ]
        for row, ratio in step_ratios(result)
    ]
    return page(
        "# What an adapter adds to a training step\n",
        "KTH at 64x64, 10 -> 10, TAU of three sizes. CPU milliseconds of a step over all cores, "
        "the least of some calls, and that time divided by plain's.\n",
        origin(result),
        table(["TAU", "", "batch", "parameters", "CPU ms", "times plain's"], rows),
    )


def step_ratios(result: Mapping[str, Any]) -> list[tuple[dict[str, Any], float]]:
    """Each row, and its time divided by that of plain."""
    plain = {row["size"]: row["cpu"] for row in result["rows"] if row["adapter"] == "none"}
    return [(row, row["cpu"] / plain[row["size"]]) for row in result["rows"]]
