"""The pages on backbones: with and without PDR, their speed and their sizes."""

from typing import Any

from experiments.backbones import ARMS, BACKBONES, by_arm
from experiments.pages.arms import TIMES, Runs, better
from experiments.pages.markdown import figure, origin, page, table
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
            figures = [figure(scores[label][metric]) for metric in SHOWN]
            seconds = f"{times[label]:.0f}"
            rows.append([head, f"{name}, {loss}", f"{sizes[label]:,}", seconds, *figures])
    first = next(iter(result["runs"][0]["scores"].values()))["persistence"]
    rows.append(["copy the last frame", "", "0", "", *(figure(first[name]) for name in SHOWN)])
    steps = result["runs"][0]["steps"]
    return page(
        f"# {len(BACKBONES)} backbones, plain and with PDR conv\n",
        f"ERA5 32x48, 12 -> 12, errors in kelvin; {steps} steps each, the translators narrowed "
        "(experiments/backbones.py). Plain with MSE and with L1 + SSIM, PDR "
        "(preset conv) with L1 + SSIM.\n",
        origin(result),
        reading(result["runs"]),
        table(["", "", "parameters", "training, s", *SHOWN], rows),
        "PDR over plain, in per cent of the plain figure:\n",
        "![change of each figure](figures/backbones_era5.png)\n",
    )


BASES = ("plain, mse", "plain, l1_ssim")
COUNTED = ("rmse", "mae", "ssim_range1", "sharpness", "spectral_energy")


def gains(runs: Runs, base: str) -> dict[str, int]:
    """For each figure, the number of backbones with which PDR is ahead of the base arm."""
    scores = by_arm(list(runs))
    return {
        metric: sum(
            better(metric, scores[f"{name} PDR, l1_ssim"][metric], scores[f"{name} {base}"][metric])
            for name in BACKBONES
        )
        for metric in COUNTED
    }


def reading(runs: Runs) -> str:
    """The number of backbones that gain, by figure."""
    lines = [
        f"* {base}: {', '.join(f'{metric} in {count}' for metric, count in found.items())}.\n"
        for base in BASES
        for found in [gains(runs, base)]
    ]
    return (
        "One seed and short trainings: a difference of a few per cent says nothing of one backbone "
        f"alone. PDR with L1 + SSIM, of {len(BACKBONES)} backbones, is ahead of\n\n"
        f"{''.join(lines)}\n{TIMES}"
    )


def speed(result: dict[str, Any]) -> str:
    """Time and memory of each backbone beside those of the PyTorch code."""
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
    return page(
            "# Speed of the backbones on a CPU, beside PyTorch's\n",
            "TaxiBJ's size (4 -> 4, 32x32x2) and the published widths. Seconds of a forward pass "
            f"and of a training step (MSE, Adam), the least of {repeats}, here and in the public "
            f"PyTorch code ({', '.join(sources)}), the two alternating in one run; then how many "
            "times as fast pdr_jax is, seconds to compile the step, and the processes' peak "
            "memory. Other work ran on the machine (load "
            f"{min(loads):.1f} to {max(loads):.1f}); it disturbs the ratio of CPU seconds over all "
            "cores least. Backbones without PyTorch figures were not set up there. "
            f"Not measured: {', '.join(missing) or 'none'}.\n",
            origin(result),
            table(
                ["", "batch", "forward", "step", "forward, PyTorch", "step, PyTorch",
                 "times as fast: forward", "step", "step, CPU time", "compile", "MiB",
                 "MiB, PyTorch"],
                rows,
            ),
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
    return page(
        "# Sizes of the backbones beside the published ones\n",
        "Parameters, and billions of multiply-accumulates of a pass by XLA's count, which "
        "leaves out products with the zeros outside a frame. (!) marks published parameters "
        "that differ in their last digit or more; the models' cards say why where it is "
        "known.\n",
        origin(result),
        table(["", "", "parameters", "published, M", "G", "published, G"], rows),
    )


def agrees(millions: float, printed: str) -> bool:
    """Whether a figure equals the printed one up to its last digit, which may be rounded or cut."""
    digits = len(printed.partition(".")[2])
    return abs(millions - float(printed)) < 10**-digits
