"""The paper's table of backbones: every MetaFormer, plain and with PDR conv behind it.

    python -m experiments.backbones --dataset era5 --path era5_uk_t2m_hourly.npz
    python -m experiments.backbones --dataset bikenyc

Eleven translators of SimVP, the same steps and seeds: plain with its own loss (MSE), plain with
L1 + SSIM, and PDR (preset conv) with L1 + SSIM, all with the same optimiser (PDR's), so that the
loss and the representation stand apart. ERA5: hourly 2 m temperature over Britain (array "t2m"),
12 -> 12 (experiments/era5.py). BikeNYC: 4 -> 4, as prepared by `pdr data prepare bikenyc`. Widths
and steps are what two cores finish within an hour; `--dataset taxibj`, `weatherbench`, `kth` or
`human36m` runs the published sizes and lengths, for which a GPU is needed.
"""

import dataclasses
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro

import pdr_datasets
from experiments import era5, provenance
from experiments.study import OPTIMIZER, TWO_CORES, Arm, run_study
from pdr_jax import recipes
from pdr_jax.benchmarks import METAFORMERS
from pdr_jax.files import write_json
from pdr_jax.recipes import Recipe
from pdr_jax.task import open_dataset

BACKBONES = tuple(name for name in METAFORMERS if name != "simvp_incepu")
ARMS = (("none", "mse"), ("none", "l1_ssim"), ("conv", "l1_ssim"))
Dataset = Literal["era5", "bikenyc", "taxibj", "weatherbench", "kth", "human36m"]


def small_recipe(dataset: Dataset, backbone: str, adapter: str, loss: str, steps: int) -> Recipe:
    """One run on ERA5 or BikeNYC, the backbone narrowed."""
    if dataset == "era5":
        recipe = era5.recipe(adapter, loss, steps)
    else:
        recipe = recipes.create(
            "bikenyc", adapter=adapter, loss=loss, steps=steps, save_every=steps, **TWO_CORES
        )
    return dataclasses.replace(recipe, backbone=backbone)


def arms(dataset: Dataset, steps: int) -> list[Arm]:
    """The rows of the table."""
    rows = []
    for backbone in BACKBONES:
        for adapter, loss in ARMS:
            if dataset in ("era5", "bikenyc"):
                recipe = small_recipe(dataset, backbone, adapter, loss, steps)
            else:
                fields: dict[str, Any] = {"steps": steps, "protocol": "openstl", **OPTIMIZER}
                recipe = recipes.create(
                    dataset, backbone=backbone, adapter=adapter, loss=loss, **fields
                )
            name = "plain" if adapter == "none" else "PDR"
            rows.append(Arm(f"{backbone} {name}, {loss}", recipe))
    return rows


def draw(result: dict[str, Any], path: Path) -> None:
    """Each backbone's figures with PDR relative to the plain predictor's, under either loss."""
    from pdr_jax.report.style import COLOURS, new_figure, plain_axes

    shown = ("rmse", "mae", "ssim_range1", "sharpness")
    scores = by_arm(result["runs"])
    figure = new_figure(9, 5)
    figure.set_layout_engine("constrained")
    panels = figure.subplots(1, len(shown), sharey=True)
    places = np.arange(len(BACKBONES))
    for panel, metric in zip(panels, shown, strict=True):
        for i, base in enumerate(("plain, mse", "plain, l1_ssim")):
            change = [
                100
                * (scores[f"{name} PDR, l1_ssim"][metric] / scores[f"{name} {base}"][metric] - 1)
                for name in BACKBONES
            ]
            panel.barh(places + 0.4 * i - 0.2, change, 0.4, color=COLOURS[i], label=f"over {base}")
        panel.axvline(0, color="black", linewidth=0.8)
        panel.set_xlabel(f"{metric}: change, %")
        plain_axes(panel)
    panels[0].set_yticks(places, [name.removeprefix("simvp_") for name in BACKBONES])
    panels[0].invert_yaxis()
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2, fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, metadata={"Software": None})


def by_arm(runs: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Label -> the model's figures, averaged over seeds."""
    found: dict[str, dict[str, float]] = {}
    for label in dict.fromkeys(r["label"] for r in runs):
        rows = [next(iter(r["scores"].values()))["model"] for r in runs if r["label"] == label]
        found[label] = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    return found


def main(
    dataset: Dataset = "era5",
    path: Path | None = None,
    steps: int = 100,
    seeds: tuple[int, ...] = (0,),
    folder: Path = Path("runs/backbones"),
    shard: tuple[int, int] = (0, 1),
) -> None:
    """Runs the study and writes results/backbones_DATASET.json and its figure.

    Args:
        dataset: What to train and test on.
        path: Of ERA5's .npz.
        steps: Optimisation steps of each run; 0 takes the benchmark's epochs.
        seeds: A run each.
        folder: Of finished runs, which are not repeated.
        shard: Index and count of the processes that share the runs; the one that calls without
            writes the result.
    """
    if dataset == "era5":
        if path is None:
            raise SystemExit("--path is missing: the .npz with the array t2m")
        data = era5.load(path)
    elif dataset == "bikenyc":
        data = pdr_datasets.load("bikenyc")
    else:
        data = open_dataset(recipes.create(dataset, protocol="openstl"))
    horizon = f"{data.in_length} -> {data.out_length}"
    runs = run_study(
        arms(dataset, steps),
        seeds,
        shard=shard,
        dataset=data,
        evaluate_on={horizon: data},
        folder=folder / dataset,
    )
    if shard == (0, 1):
        result = {**provenance.record(seeds=list(seeds)), "note": data.note, "runs": runs}
        write_json(provenance.RESULTS / f"backbones_{dataset}.json", result)
        draw(result, provenance.RESULTS / "figures" / f"backbones_{dataset}.png")


if __name__ == "__main__":
    tyro.cli(main)
