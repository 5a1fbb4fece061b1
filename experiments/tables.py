"""Writes experiments/README.md from results/ (python -m experiments.tables).

No figure in that file is typed by hand. Tests fail when the file, or what it says of the figures in
words, and the results differ.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pdr_datasets
from experiments import backbone_tables, study_tables
from experiments.markdown import origin, table
from experiments.provenance import RESULTS
from pallas_kernels.splat2d import bench_table

README = Path(__file__).parent / "README.md"
KERNELS_README = Path(__file__).parent.parent / "pallas_kernels" / "README.md"
MARKS = ("<!-- written by experiments/tables.py -->\n", "<!-- end -->\n")

HEAD = """# Experiments

One script for each result; its docstring holds the command. The tables below are generated from
the JSON files in `results/` by `python -m experiments.tables`; each file, or each row that can be
measured anew alone, records command, commit, versions, hardware, date and seeds.

What the columns mean is said in `pdr_jax/metrics`: mse and mae are summed over a frame's pixels
and averaged over frames (for ERA5: averaged, in kelvin), ssim is OpenSTL's (data range 2),
ssim_range1 the same with data range 1, sharpness 1 is as sharp as the truth, st_lpips_alex is the
shift-tolerant LPIPS. A cell holds one figure for each seed. The rows "coarse", "mean Y" and
"shuffled Y" evaluate the same trained model with a part replaced: the backbone's frames alone; the
rendered frames Y replaced by their mean over the test set; Y taken from another clip. A model whose
figures do not suffer from "mean Y" does not use its renderer.
"""


def main() -> None:
    """Writes the files."""
    README.write_text(document())
    KERNELS_README.write_text(kernels_document(KERNELS_README.read_text()))


def document() -> str:
    """The whole file."""
    sections = [
        section(json.loads((RESULTS / f"{name}.json").read_text()))
        for name, section in SECTIONS.items()
        if (RESULTS / f"{name}.json").exists()
    ]
    return "\n".join([HEAD, *sections])


def kernels_document(text: str) -> str:
    """The kernels' README with its tables, between two marks, brought up to date."""
    before, _, rest = text.partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    sections = [
        section(json.loads((RESULTS / f"{name}.json").read_text()))
        for name, section in {"cpu_splat2d": splat2d, "compile_check": compiled}.items()
    ]
    return before + MARKS[0] + "\n".join(sections).replace("## ", "### ") + MARKS[1] + after


def splat2d(result: dict[str, Any]) -> str:
    """The renderer on a CPU."""
    header, *rows = bench_table.lines(result)
    return "\n".join(
        [
            "## splat2d on a CPU\n",
            "CPU time over all cores, the least of some calls, and the published baseline's over "
            f"it. `{result['command']}`, commit "
            f"{result['commit'][:10]}, {result['date'][:10]}, {result['hardware']['cpu']}, "
            f"{result['hardware']['cores']} cores (load {result['hardware']['load']}: other work "
            "ran beside it), "
            f"jax {result['versions']['jax']}, seed {result['seed']}.\n",
            table(header, rows),
        ]
    )


def compiled(result: dict[str, Any]) -> str:
    """What the GPU kernels need, as compiled without a GPU."""
    rows = [row for row in result["rows"] if "kernel" in row]
    shown = [
        [
            row["module"],
            row["case"],
            str(row["registers"]),
            f"{row['shared_bytes']:,}",
            f"{row['instructions']:,}",
            f"{row['instructions_per_pair']:.1f}" if row["instructions_per_pair"] else "",
        ]
        for row in rows
        if row["module"].startswith("splat2d")
        and (row["dtype"], row["architecture"]) == ("float32", "sm_90a")
    ]
    spilled = sum(row["spill_bytes"] for row in rows)
    return "\n".join(
        [
            "## The GPU kernels, compiled without a GPU\n",
            f"{len(rows)} kernels, float32 and bfloat16, for sm_90a and sm_80 (Mosaic: sm_90a); "
            f"bytes spilled, over all of them: {spilled}. Below those of splat2d in float32 for "
            "sm_90a. The last column is the SASS instructions of the drawing loop for a pair of a "
            "pixel and a Gaussian; with more than 8 channels a pair is counted once for each block "
            "of channels. These are static counts, not times: nothing was run.\n",
            f"`{result['command']}`, commit {result['commit'][:10]}, {result['date'][:10]}, jax "
            f"{result['versions']['jax']}.\n",
            table(
                ["", "", "registers", "shared, bytes", "instructions", "a pair"],
                shown,
            ),
        ]
    )


def growth(result: dict[str, Any]) -> str:
    """How the cost of the renderer grows on a CPU: a figure, and its curves' ends."""
    lines: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in result["rows"]:
        lines.setdefault((row["along"], row["implementation"]), []).append(row)
    rows = [
        [
            f"{axis}, {first['value']:,} to {last['value']:,}",
            implementation,
            *(
                f"{first[part]['cpu']:.3g} to {last[part]['cpu']:.3g}"
                for part in bench_table.PASSES
            ),
        ]
        for (axis, implementation), (first, *_, last) in lines.items()
    ]
    start = result["start"]
    return "\n".join(
        [
            "## How the cost of splat2d grows, on a CPU\n",
            f"From {start['height']}x{start['width']}x{start['channels']}, N = "
            f"{start['gaussians']}, K = {start['window']}, one of N, side of the frame, K and C at "
            "a time: CPU milliseconds a frame, over all cores. Where `reference` ends early, its "
            "dense arrays were too large to wait for. These are a CPU's curves; no GPU's have been "
            "measured.\n",
            origin(result),
            "![cost against N, side, K and C](results/figures/splat2d_growth_cpu.png)\n",
            table(["", "implementation", *bench_table.PASSES], rows),
        ]
    )


def convolutions(result: dict[str, Any]) -> str:
    """Depthwise and grouped convolution on a CPU, a row a form, a column a pass."""
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
    return "\n".join(
        [
            "## Depthwise and grouped convolution on a CPU\n",
            f"Milliseconds, the least of {result['repeats']} (load {result['load_before']}: other "
            "work ran beside it).\n",
            origin(result),
            table(["", "input", "kernel", "form", *passes], rows),
        ]
    )


def loops(result: dict[str, Any]) -> str:
    """What runs in scans on a CPU: a row a form."""
    rows = [
        [
            row["case"],
            row["form"],
            *(f"{row[label]['min_ms']:#.3g}" for label in ("forward", "gradient")),
            *(f"{row[label]['compile_s']:.1f}" for label in ("forward", "gradient")),
        ]
        for row in result["rows"]
    ]
    return "\n".join(
        [
            "## What recurrent predictors run in scans, on a CPU\n",
            f"Milliseconds, the least of {result['repeats']} (load {result['load_before']}), and "
            "seconds to compile. pdr_jax runs the last form of each case on a CPU.\n",
            origin(result),
            table(["", "form", "forward", "gradient", "compile", "compile"], rows),
        ]
    )


LOADER_READING = """\
How to read it: a device that trains as many times faster than this machine as "to spare" says would
begin to wait for streamed clips. Threads bring little, because reading is mostly Python's work.
Where the distinct frames of the training split fit into `resident_mib`, batches are gathered on the
device instead. On a CPU, training is then no faster beyond what two runs differ by: it is meant for
accelerators, and off by default.
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
    return "\n".join(
        [
            "## Loading speed on a CPU\n",
            f"Samples a second in batches of {batch}, shuffled: of the pipeline, "
            "and of TAU's training step in float32 at the benchmark's size (in brackets its batch, "
            "a smaller one where the full one takes minutes). Files are drawn in the real formats "
            "and frame sizes, with few samples, so all reading is from the operating system's "
            "memory. The last column is the load average; figures differ from run to run."
            f"{' Not measured: ' + ', '.join(missing) + '.' if missing else ''}\n",
            origin(result),
            LOADER_READING,
            table(
                ["", *threads, "MiB/s, best", "TAU's step", "to spare", "load"],
                rows,
            ),
            "With the training split on the device (`resident_mib=256`): MiB of its distinct "
            "frames and of its clips, seconds to read it, samples a second put on the device in "
            "either mode, and of training.\n",
            table(
                ["", "frames", "clips", "read", "streamed", "gathered", "training", "gathered"],
                held,
            ),
        ]
    )


SECTIONS: dict[str, Callable[[dict[str, Any]], str]] = {
    "kth_person01": study_tables.kth,
    "adapters": study_tables.adapters,
    "flow_and_weather": study_tables.flow_and_weather,
    "backbones_era5": backbone_tables.comparison,
    "backbone_speed_cpu": backbone_tables.speed,
    "backbone_sizes": backbone_tables.sizes,
    "cpu_splat2d": splat2d,
    "compile_check": compiled,
    "splat2d_growth_cpu": growth,
    "depthwise_cpu": convolutions,
    "loops_cpu": loops,
    "loader_cpu": loader,
}


if __name__ == "__main__":
    main()
