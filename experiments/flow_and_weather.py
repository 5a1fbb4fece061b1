"""Loss and representation apart, on bike flow and on temperature, with controls and three seeds.

    pdr data prepare bikenyc --manual-dir FOLDER
    python -m experiments.flow_and_weather --era5-path era5_uk_t2m_hourly.npz

The plain predictor (TAU) and PDR, each with TAU's own loss (MSE and a divergence term) and with
L1 + SSIM, and under both losses the controls: a learned affine output, as many parameters as PDR.
BikeNYC: 4 -> 4, 16x8, counts. ERA5: (time, 33, 49) hourly 2 m temperature in kelvin (array "t2m"),
12 -> 12 (experiments/era5.py). Sizes and steps are what two cores train in minutes.
"""

import functools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tyro

import pdr_datasets
from experiments import era5, provenance
from experiments.study import (
    TWO_CORES,
    Arm,
    adapter_arm,
    latest,
    plain_affine,
    plain_matched,
    run_study,
)
from pdr_jax import recipes
from pdr_jax.files import write_json
from pdr_jax.recipes import DEFAULT_ADAPTER, Recipe

SEEDS = (0, 1, 2)
LOSSES = ("mse_ddr", "l1_ssim")
UNITS = {"bikenyc": "bikes", "era5": "kelvin"}


def bikenyc_recipe(adapter: str, loss: str, steps: int) -> Recipe:
    """The BikeNYC recipe, its backbone narrowed; batches of 16."""
    options: dict[str, Any] = {**TWO_CORES, "batch_size": 16}
    return recipes.create(
        "bikenyc", adapter=adapter, loss=loss, steps=steps, save_every=steps, **options
    )


def arms(plain: Recipe, pdr: Recipe) -> list[Arm]:
    """The rows of one loss."""
    return [
        adapter_arm(plain),
        adapter_arm(pdr),
        Arm(f"plain + affine, {plain.loss}", plain, plain_affine),
        Arm(f"plain, as large as PDR, {plain.loss}", plain, plain_matched(pdr)),
    ]


def draw(result: dict[str, Any], path: Path) -> None:
    """RMSE of every arm at each step of the horizon: mean of the seeds, and their span."""
    from pdr_jax.report.style import COLOURS, new_figure, plain_axes

    figure = new_figure(9, 3.6)
    figure.set_layout_engine("constrained")
    panels = figure.subplots(1, 2)
    for panel, (name, unit) in zip(panels, UNITS.items(), strict=True):
        labels = list(dict.fromkeys(run["label"] for run in result[name]))
        for i, label in enumerate(labels):
            (horizon,) = result[name][0]["mse_by_frame"]
            curves = np.sqrt(
                [run["mse_by_frame"][horizon] for run in result[name] if run["label"] == label]
            )
            steps = np.arange(1, curves.shape[1] + 1)
            colour = COLOURS[i % (len(labels) // len(LOSSES))]
            style = "-" if label.endswith(LOSSES[0]) else "--"
            panel.plot(steps, curves.mean(0), style, color=colour, label=label)
            panel.fill_between(steps, curves.min(0), curves.max(0), color=colour, alpha=0.1)
        panel.set_xlabel(f"{name}: hours ahead")
        panel.set_ylabel(f"RMSE, {unit}")
        plain_axes(panel)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, metadata={"Software": None})


def main(
    era5_path: Path,
    bikenyc_steps: int = 400,
    era5_steps: int = 100,
    folder: Path = Path("runs/flow_and_weather"),
    shard: tuple[int, int] = (0, 1),
) -> None:
    """Runs the study.

    Args:
        era5_path: .npz with the array "t2m", (time, latitude, longitude) in kelvin.
        bikenyc_steps: Optimisation steps of each run on BikeNYC.
        era5_steps: And on ERA5.
        folder: Of finished runs, which are not repeated.
        shard: Index and count of the processes that share the runs; the one that calls without
            writes the result.
    """
    studies: dict[str, tuple[pdr_datasets.VideoDataset, Callable[[str, str], Recipe]]] = {
        "bikenyc": (
            pdr_datasets.load("bikenyc"),
            functools.partial(bikenyc_recipe, steps=bikenyc_steps),
        ),
        "era5": (era5.load(era5_path), functools.partial(era5.recipe, steps=era5_steps)),
    }
    runs = {}
    for name, (dataset, recipe) in studies.items():
        horizon = f"{dataset.in_length} -> {dataset.out_length}"
        rows = [
            arm
            for loss in LOSSES
            for arm in arms(recipe("none", loss), recipe(DEFAULT_ADAPTER, loss))
        ]
        runs[name] = run_study(
            rows,
            SEEDS,
            shard=shard,
            dataset=dataset,
            evaluate_on={horizon: dataset},
            folder=folder / name,
        )
    if shard == (0, 1):
        notes = {name: dataset.note for name, (dataset, _) in studies.items()}
        result = {**provenance.record(seeds=list(SEEDS)), "notes": notes, **runs}
        write_json(provenance.RESULTS / "flow_and_weather.json", result)
        figures = provenance.RESULTS / "figures"
        draw(result, figures / "flow_and_weather.png")
        for name in studies:  # the first test clip, as PDR saw, predicted and drew it
            shown = latest(folder / name, f"PDR {DEFAULT_ADAPTER}, l1_ssim", seed=0)
            shutil.copy(shown / "strip.png", figures / f"{name}_pdr.png")


if __name__ == "__main__":
    tyro.cli(main)
