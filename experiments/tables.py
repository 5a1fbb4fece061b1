"""Writes experiments/README.md from results/ (python -m experiments.tables).

No figure in that file is typed by hand. A test fails when the file and the results differ.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pdr_datasets
from experiments import backbone_tables
from experiments.provenance import RESULTS
from pallas_kernels.splat2d import bench_table
from pdr_jax import recipes

README = Path(__file__).parent / "README.md"
KERNELS_README = Path(__file__).parent.parent / "pallas_kernels" / "README.md"
MARKS = ("<!-- written by experiments/tables.py -->\n", "<!-- end -->\n")
METRICS = ("mse", "mae", "psnr", "ssim", "ssim_range1", "sharpness", "st_lpips_alex")

HEAD = """# Experiments

One script for each result; its docstring holds the command. The tables below are generated from
the JSON files in `results/` by `python -m experiments.tables`; each file records command, commit,
versions, hardware, date and seeds.

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


def origin(result: dict[str, Any]) -> str:
    """Where a result comes from, in a line."""
    versions = result["versions"]
    runs = [
        run for key in ("runs", "rows", "kth", "era5", "bikenyc") for run in result.get(key, [])
    ]
    commits = dict.fromkeys(run["commit"] for run in runs if "commit" in run) or [result["commit"]]
    return (
        f"`{result['command']}`, commit {', '.join(map(short, commits))}, {result['date']}, "
        f"{result['hardware']}, Python {versions['python']}, jax {versions['jax']}, "
        f"seeds {', '.join(map(str, result['seeds']))}.\n"
    )


def short(commit: str) -> str:
    """A commit's first digits, and what was said of it."""
    digits, _, remark = commit.partition(" ")
    return f"{digits[:10]} {remark}".strip()


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, its first column to the left."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def comparison(runs: list[dict[str, Any]], horizon: str, metrics: Sequence[str]) -> str:
    """Runs of `experiments.study` on one horizon: a row an arm and a control, a figure a seed."""
    arms = {run["label"]: [r for r in runs if r["label"] == run["label"]] for run in runs}
    first = runs[0]["scores"][horizon]
    rows = [["copy the last frame", "0", "", *cells([first["persistence"]], metrics)]]
    for label, seeds in arms.items():
        parameters = f"{seeds[0]['parameters']:,}"
        minutes = " / ".join(f"{run['train_seconds'] / 60:.1f}" for run in seeds)
        for control in seeds[0]["scores"][horizon]:
            if control == "persistence":
                continue
            scores = [run["scores"][horizon][control] for run in seeds]
            head = (
                [f"**{label}**", parameters, minutes]
                if control == "model"
                else ["&nbsp;&nbsp;" + control.removeprefix("model, "), "", ""]
            )
            rows.append([*head, *cells(scores, metrics)])
    return markdown(["", "parameters", "training, minutes", *metrics], rows)


def cells(scores: Sequence[dict[str, float]], metrics: Sequence[str]) -> list[str]:
    """Figures to four significant digits."""
    return [" / ".join(f"{score[name]:#.4g}" for score in scores) for name in metrics]


def adapters(result: dict[str, Any]) -> str:
    """Which preset is the default."""
    return "\n".join(
        [
            "## Which adapter is the default\n",
            "Real KTH frames (one person, see below) and ERA5 temperature over Britain, plain TAU "
            "and PDR with each preset, L1 + SSIM. "
            f"The default is `{recipes.DEFAULT_ADAPTER}`. {result['kth'][0]['steps']} steps each; "
            "two seeds.\n",
            origin(result),
            ADAPTERS_READING,
            "KTH 64x64, 10 -> 10:\n",
            comparison(result["kth"], "10 -> 10", METRICS),
            "ERA5 32x48, 12 -> 12:\n",
            comparison(
                result["era5"], "12 -> 12", ("mse", "mae", "psnr", "ssim_range1", "sharpness")
            ),
        ]
    )


KTH_READING = """\
How to read it: 200 steps on 67 windows are a trial, not a benchmark. L1 + SSIM does most of the
work, for every model. With it the paper's preset ends far behind with one seed, and with the other
its figures do not change when Y is replaced by its mean: the renderer is ignored. PDR with `conv`
is a little ahead of the same backbone without it in nearly every figure, and most of its figures
suffer when Y is replaced. But the plain predictor widened to a little more than PDR's parameters is
ahead of PDR: this table does not show that the representation, rather than its parameters, helps.
Under MSE alone PDR is level with plain, and both controls, a learned affine output and the wider
predictor, are ahead of it in mse and mae.
Sharpness and st_lpips_alex alone prefer copying the last frame. Training times were taken on a
machine that did other work as well.
"""

ADAPTERS_READING = """\
The default was chosen for being ahead of plain, or level with it, on most figures of both data
sets, with the fewest parameters, while its coarse frames remain frames. That is `conv`. It is not
the best everywhere: on KTH `robust` has the lower mse and mae but the worse st_lpips_alex, and it
falls behind plain on ERA5. On ERA5 `conv` is ahead of plain in psnr and SSIM with both seeds, in
mse and mae with one. With one seed on KTH the mse of `conv` is not worse with the mean of Y; on
ERA5 all its errors are.
"""


def kth(result: dict[str, Any]) -> str:
    """The 2 x 2 with its controls."""
    return "\n".join(
        [
            "## KTH, one person: loss and representation apart\n",
            f"{result['data']}. {result['runs'][0]['steps']} steps each, trained 10 -> 10.\n",
            origin(result),
            KTH_READING,
            "10 -> 10:\n",
            comparison(result["runs"], "10 -> 10", METRICS),
            "10 -> 20, by roll-out:\n",
            comparison(result["runs"], "10 -> 20", METRICS),
        ]
    )


FLOW_READING = """\
How to read it: a few hundred steps, so trials, not benchmarks.
BikeNYC: with TAU's own loss PDR is level with plain in rmse and psnr; it is sharper, and its
spectral energy and diversity are nearer the truth's with every seed. Its renderer is used: all
figures suffer when Y is replaced. A learned affine output is ahead of both in rmse and mae, more
parameters are not.
L1 + SSIM fails here: after these steps plain, PDR and the wider predictor are all behind copying
the last frame in rmse; only the learned affine output gets through, with two seeds of three. (Most
cells of these frames are empty most of the time; whether that is why was not tested.)
ERA5: every arm is ahead of copying the last frame in rmse and mae. PDR is a little behind plain in
rmse with every seed and under either loss, by less than the seeds differ. L1 + SSIM makes all arms
sharper, at the same rmse. Under it PDR has the highest SSIM and keeps more fine spectral energy
than plain and than either control, with every seed: that is neither the loss nor the parameters.
Training times were taken on a machine that did other work as well.
"""


def flow_and_weather(result: dict[str, Any]) -> str:
    """The 2 x 2 with its controls, on flow and on temperature."""
    shown = ("rmse", "mae", "psnr", "ssim_range1", "sharpness", "spectral_energy", "diversity")
    parts = []
    for name, title in (
        ("bikenyc", "BikeNYC 16x8, 4 -> 4, errors in bikes an hour and cell"),
        ("era5", "ERA5 32x48, 12 -> 12, errors in kelvin"),
    ):
        runs = result[name]
        (horizon,) = runs[0]["scores"]
        note = f" {result['notes'][name]}" if result["notes"][name] else ""
        parts += [
            f"{title}, {runs[0]['steps']} steps each.{note}\n",
            comparison(runs, horizon, shown),
        ]
    return "\n".join(
        [
            "## Bike flow and temperature: loss and representation apart\n",
            "Plain TAU and PDR(TAU), with TAU's own loss (MSE + divergence term) and with L1 + "
            "SSIM, and the controls; three seeds.\n",
            origin(result),
            FLOW_READING,
            *parts,
            "RMSE over the horizon (mean of the seeds and their span):\n",
            "![RMSE over the horizon](results/figures/flow_and_weather.png)\n",
            "The first test clip with PDR, L1 + SSIM, seed 0 (observed, truth, prediction, coarse, "
            "rendered):\n",
            "![BikeNYC](results/figures/bikenyc_pdr.png)\n",
            "![ERA5](results/figures/era5_pdr.png)\n",
        ]
    )


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
            markdown(header, rows),
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
            markdown(
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
            markdown(["", "implementation", *bench_table.PASSES], rows),
        ]
    )


def convolutions(result: dict[str, Any]) -> str:
    """Depthwise and grouped convolution on a CPU, a row a form, a column a pass."""
    passes = list(dict.fromkeys(row["pass"] for row in result["rows"]))
    table: dict[tuple[str, ...], dict[str, str]] = {}
    for row in result["rows"]:
        count, height, width, channels = row["shape"]
        kernel = f"{row['kernel']}x{row['kernel']}"
        if row["dilation"] > 1:
            kernel += f" dilated {row['dilation']}"
        if row["groups"]:
            kernel += f", {row['groups']} groups"
        head = (row["where"], f"{count}x{height}x{width}x{channels}", kernel, row["form"])
        table.setdefault(head, {})[row["pass"]] = f"{row['min_ms']:.3g}"
    rows = [[*head, *(cell.get(name, "") for name in passes)] for head, cell in table.items()]
    return "\n".join(
        [
            "## Depthwise and grouped convolution on a CPU\n",
            f"Milliseconds, the least of {result['repeats']} (load {result['load_before']}: other "
            "work ran beside it).\n",
            origin(result),
            markdown(["", "input", "kernel", "form", *passes], rows),
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
            markdown(["", "form", "forward", "gradient", "compile", "compile"], rows),
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
    threads = [f"{count} threads" for count in result["rows"][0]["pipeline"]]
    return "\n".join(
        [
            "## Loading speed on a CPU\n",
            f"Samples a second in batches of {result['batch_size']}, shuffled: of the pipeline, "
            "and of TAU's training step in float32 at the benchmark's size (in brackets its batch, "
            "a smaller one where the full one takes minutes). Files are drawn in the real formats "
            "and frame sizes, with few samples, so all reading is from the operating system's "
            "memory. The last column is the load average; figures differ by a factor of 2 from run "
            f"to run.{' Not measured: ' + ', '.join(missing) + '.' if missing else ''}\n",
            origin(result),
            LOADER_READING,
            markdown(
                ["", *threads, "MiB/s, best", "TAU's step", "to spare", "load"],
                rows,
            ),
            "With the training split on the device (`resident_mib=256`): MiB of its distinct "
            "frames and of its clips, seconds to read it, samples a second put on the device in "
            "either mode, and of training.\n",
            markdown(
                ["", "frames", "clips", "read", "streamed", "gathered", "training", "gathered"],
                held,
            ),
        ]
    )


def on_backbones(section: Callable[..., str]) -> Callable[[dict[str, Any]], str]:
    """A section of `experiments.backbone_tables`."""
    return lambda result: section(result, origin(result), markdown)


SECTIONS: dict[str, Callable[[dict[str, Any]], str]] = {
    "kth_person01": kth,
    "adapters": adapters,
    "flow_and_weather": flow_and_weather,
    "backbones_era5": on_backbones(backbone_tables.comparison),
    "backbone_speed_cpu": on_backbones(backbone_tables.speed),
    "backbone_sizes": on_backbones(backbone_tables.sizes),
    "cpu_splat2d": splat2d,
    "compile_check": compiled,
    "splat2d_growth_cpu": growth,
    "depthwise_cpu": convolutions,
    "loops_cpu": loops,
    "loader_cpu": loader,
}


if __name__ == "__main__":
    main()
