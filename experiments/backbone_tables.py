"""The sections of experiments/README.md on backbones; `experiments/tables.py` writes the file."""

from typing import Any

from experiments.backbones import ARMS, BACKBONES, by_arm
from experiments.markdown import origin, table
from pdr_jax import backbones

SHOWN = ("rmse", "mae", "psnr", "ssim_range1", "sharpness", "spectral_energy")


def comparison(result: dict[str, Any]) -> str:
    """Every MetaFormer plain and with PDR."""
    scores = by_arm(result["runs"])
    times = {run["label"]: run["train_seconds"] for run in result["runs"]}
    sizes = {run["label"]: run["parameters"] for run in result["runs"]}
    rows = []
    for backbone in BACKBONES:
        for adapter, loss in ARMS:
            name = "plain" if adapter == "none" else "PDR"
            label = f"{backbone} {name}, {loss}"
            head = f"**{backbone}**" if (adapter, loss) == ARMS[0] else ""
            figures = [f"{scores[label][metric]:#.4g}" for metric in SHOWN]
            seconds = f"{times[label]:.0f}"
            rows.append([head, f"{name}, {loss}", f"{sizes[label]:,}", seconds, *figures])
    first = next(iter(result["runs"][0]["scores"].values()))["persistence"]
    still = [f"{first[metric]:#.4g}" for metric in SHOWN]
    rows.append(["copy the last frame", "", "0", "", *still])
    steps = result["runs"][0]["steps"]
    return "\n".join(
        [
            "## Eleven backbones, plain and with PDR\n",
            f"ERA5 32x48, 12 -> 12, errors in kelvin; {steps} steps each, the translators narrowed "
            "(experiments/backbones.py). Plain with MSE and with L1 + SSIM, PDR with L1 + SSIM.\n",
            origin(result),
            reading(scores),
            table(["", "", "parameters", "training, s", *SHOWN], rows),
            "PDR over plain, in per cent of the plain figure:\n",
            "![change of each figure](results/figures/backbones_era5.png)\n",
        ]
    )


def reading(scores: dict[str, dict[str, float]]) -> str:
    """How many backbones gain, counted from the figures."""

    def gains(metric: str, base: str, sign: int) -> int:
        return sum(
            sign * (scores[f"{name} PDR, l1_ssim"][metric] - scores[f"{name} {base}"][metric]) > 0
            for name in BACKBONES
        )

    lines = ["How to read it: few seeds and a trial's length, so differences of a few per cent say"]
    lines.append(
        f"nothing of one backbone alone. Of {len(BACKBONES)} backbones, PDR is ahead of:\n"
    )
    for base in ("plain, mse", "plain, l1_ssim"):
        counts = ", ".join(
            f"{metric} in {gains(metric, base, sign)}"
            for metric, sign in (
                ("rmse", -1),
                ("mae", -1),
                ("ssim_range1", 1),
                ("sharpness", 1),
                ("spectral_energy", 1),
            )
        )
        lines.append(f"* {base}: {counts}.")
    lines.append("\nTraining times were taken on a machine that did other work as well.")
    return "\n".join(lines) + "\n"


def speed(result: dict[str, Any]) -> str:
    """Time and memory beside the PyTorch code's, measured in the same run."""
    rows = []
    for row in result["rows"]:
        theirs = row.get("beside", {})
        if "error" in row:
            rows.append([row["backbone"], str(row["batch_size"]), row["error"][:60], *[""] * 9])
            continue
        faster = [
            f"{theirs[key] / row[key]:.1f}x" if key in theirs else ""
            for key in ("forward_seconds", "step_seconds", "step_cpu_seconds")
        ]
        rows.append(
            [
                row["backbone"],
                str(row["batch_size"]),
                *(f"{row[key]:#.3g}" for key in ("forward_seconds", "step_seconds")),
                *(
                    f"{theirs[key]:#.3g}" if key in theirs else ""
                    for key in ("forward_seconds", "step_seconds")
                ),
                *faster,
                f"{row['compile_seconds']:.0f}",
                f"{row['peak_mib']:,.0f}",
                f"{theirs['peak_mib']:,.0f}" if "peak_mib" in theirs else "",
            ]
        )
    repeats = ", ".join(dict.fromkeys(str(row["repeats"]) for row in result["rows"]))
    loads = [row["load"] for row in result["rows"]]
    measured = {row["backbone"] for row in result["rows"]}
    missing = [name for name in backbones.names() if name not in measured]
    beside = [row["beside"] for row in result["rows"] if "source" in row.get("beside", {})]
    sources = sorted({row["source"] for row in beside})
    return "\n".join(
        [
            "## Speed of the backbones on a CPU, beside PyTorch's\n",
            "Seconds at TaxiBJ's size (4 -> 4, 32x32x2) and published widths: a forward pass, a "
            f"training step (MSE, Adam), the least of {repeats}; beside them the public "
            f"PyTorch code ({', '.join(sources)}), alternating with ours in the same run, and how "
            "many times as fast ours is. Then seconds to compile the step, and the processes' peak "
            "memory in MiB. Other work ran beside it (load "
            f"{min(loads):.1f} to {max(loads):.1f}): the last of the three ratios is of CPU "
            "seconds over all cores, which that disturbs less. Backbones without PyTorch figures "
            f"were not set up there. Not measured: {', '.join(missing) or 'none'}.\n",
            origin(result),
            table(
                ["", "batch", "forward", "step", "forward, PyTorch", "step, PyTorch",
                 "forward", "step", "step, CPU", "compile", "MiB", "MiB, PyTorch"],
                rows,
            ),
        ]
    )  # fmt: skip


def sizes(result: dict[str, Any]) -> str:
    """Parameters and operations beside the published ones."""
    rows = []
    for row in result["rows"]:
        theirs = row["published"]
        options = ", ".join(f"{name} {value}" for name, value in theirs["options"].items())
        same = agrees(row["parameters"] / 1e6, theirs["parameters"])
        rows.append(
            [
                f"{theirs['backbone']} {options}".strip(),
                theirs["dataset"],
                f"{row['parameters']:,}",
                theirs["parameters"] + ("" if same else " (!)"),
                f"{row['gmacs']:#.4g}",
                theirs["gmacs"],
            ]
        )
    return "\n".join(
        [
            "## Sizes of the backbones beside the published ones\n",
            "Parameters, and billions of multiply-accumulates of a pass by XLA's count, which "
            "leaves out products with the zeros outside a frame. (!) marks published parameters "
            "that differ in their last digit or more; the models' cards say why where it is "
            "known.\n",
            origin(result),
            table(["", "", "parameters", "published, M", "G", "published, G"], rows),
        ]
    )


def agrees(millions: float, printed: str) -> bool:
    """Whether a figure is the printed one, to its last digit, rounded or cut."""
    digits = len(printed.partition(".")[2])
    return abs(millions - float(printed)) < 10**-digits
