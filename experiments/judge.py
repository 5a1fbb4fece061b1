"""The adapters on several data sets, with every control that could explain a gain.

    pdr data prepare kth --manual-dir FOLDER --config 64x64_10to10    (and 64x64_10to20; for
                             kth_mcvd 64x64_10to10_mcvd_split and 64x64_10to30_mcvd_split)
    pdr data prepare taxinyc --manual-dir FOLDER                      (and bikenyc)
    pdr data prepare videos --manual-dir FOLDER --split prefix --test-fraction 0.34 --val-fraction 0
    python -m experiments.judge kth --st-lpips WEIGHTS.npz
    python -m experiments.judge era5 --era5-path era5_uk_t2m_hourly.npz

All arms of a data set have the same backbone, optimiser, steps and seeds, and all but the first
have the same loss, L1 + SSIM:

* plain, with its own loss (MSE + divergence) and with L1 + SSIM; with a learned affine output; as
  large as PDR tracked in parameters; and as long as PDR tracked in time, by more steps;
* PDR with the presets paper, conv and tracked;
* tracked with pixels moved in place of Gaussians (experiments/carried.py), and without motion: the
  last frame and the gate alone;
* tracked without one of its parts at a time (`--part ablations`);
* the paper's own studies: loss, fusion, where positions start, N and K (`--part paper`);
* plain, conv and tracked behind a MetaFormer and a recurrent backbone (`--part backbones`);
* plain, paper, conv and tracked with ten times the steps (`--part long --seeds 0`): does the
  paper's gain appear late?
* plain and tracked with three times the steps, alone and with a diffusion that draws futures around
  them (`--part futures`).

`--full` runs the published sizes for 10,000 steps, for which a GPU is needed.
"""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import jax
import tyro

from experiments import picture, provenance
from experiments.carried import with_pixels
from experiments.judged import SETTINGS, Setting, every_nth
from experiments.step_cost import step_time
from experiments.study import Arm, latest, once, plain_affine, plain_matched, run_study
from pdr_jax import report
from pdr_jax.files import write_json
from pdr_jax.predgs import TrackingConfig
from pdr_jax.recipes import Recipe

Part = Literal["main", "ablations", "paper", "backbones", "long", "futures"]
Data = Literal["moving_sprites", "kth", "kth_mcvd", "taxinyc", "bikenyc", "era5", "weizmann"]

STILL = TrackingConfig(search=0, speed=0.0, drift=0.0, stretch=0.0, weighting=0.0, recolour=False)
"""The last frame, drawn exactly and never moved."""

ABLATIONS: dict[str, dict[str, Any]] = {
    "no block matching": {"search": 0},
    "no weights": {"weighting": 0.0},
    "Gaussians add": {"weighting": 0.0, "normalised": False},
    "no head per frame": {"drift": 0.0, "stretch": 0.0, "weighting": 0.0, "recolour": False},
    "spacing 2": {"spacing": 2},
    "two anchors": {"anchors": 2},
}
STARTS = ("none", "grid", "harris", "brightest", "random")
"""Patterns from which positions can start, beside the preset's own, grid_edges."""
LONGER = 10
DRAWN = {"samples": 8, "speed": True}
"""How futures are measured."""
FEWER = 128
"""Test clips at most, of which futures are drawn."""
BACKBONES: dict[str, dict[str, Any]] = {
    "simvp_poolformer": {"hid_S": 8, "hid_T": 32, "N_S": 2, "N_T": 2},
    "convlstm": {"num_hidden": (16, 16), "patch_size": 4},
}


def main_arms(setting: Setting, full: bool, longer: float) -> list[Arm]:
    """The main rows; `longer` is how many times the steps of plain take as long as tracked's."""

    def recipe(adapter: str, loss: str = "l1_ssim", **fields: Any) -> Recipe:
        return setting.recipe(full=full, adapter=adapter, loss=loss, **fields)

    plain, tracked = recipe("none"), recipe("tracked")
    more = round(longer * plain.steps)
    return [
        Arm("plain, its own loss", recipe("none", "mse_ddr")),
        Arm("plain", plain),
        Arm("plain + affine", plain, plain_affine),
        Arm("plain, as large as tracked", plain, plain_matched(tracked)),
        Arm("plain, as long as tracked", dataclasses.replace(plain, steps=more, save_every=more)),
        Arm("PDR paper", recipe("paper")),
        Arm("PDR conv", recipe("conv")),
        Arm("PDR tracked", tracked),
        Arm("tracked, pixels warped", tracked, with_pixels("warp")),
        Arm("tracked, pixels splatted", tracked, with_pixels("forward")),
        Arm("tracked, not moved", _tracking(tracked, STILL)),
    ]


def ablation_arms(setting: Setting, full: bool) -> list[Arm]:
    """Tracked without one part at a time."""
    tracked = setting.recipe(full=full, adapter="tracked", loss="l1_ssim")
    arms = [
        Arm(f"tracked, {name}", _tracking(tracked, TrackingConfig(**changes)))
        for name, changes in ABLATIONS.items()
    ]
    fused = dataclasses.replace(tracked, fusion="conv")
    robust = setting.recipe(full=full, adapter="robust", loss="l1_ssim")
    return [*arms, Arm("tracked, 1x1 convolution for the gate", fused), Arm("PDR robust", robust)]


def paper_arms(setting: Setting, full: bool) -> list[Arm]:
    """The preset "paper" with what the paper varies, one thing at a time."""
    paper = setting.recipe(full=full, adapter="paper", loss="l1_ssim")
    count, window = paper.predgs.num_gaussians, paper.predgs.window
    changed: dict[str, dict[str, Any]] = {
        **{f"positions start {name}": {"position_init": name} for name in STARTS},
        "half of N": {"num_gaussians": count // 2},
        "twice N": {"num_gaussians": 2 * count},
        "K of half the size": {"window": window // 4 * 2 + 1},
    }
    return [
        Arm("PDR paper, its own loss", setting.recipe(full=full, adapter="paper", loss="mse_ddr")),
        Arm("PDR paper, fusion by addition", dataclasses.replace(paper, fusion="add")),
        *(
            Arm(
                f"PDR paper, {name}",
                dataclasses.replace(paper, predgs=dataclasses.replace(paper.predgs, **changes)),
            )
            for name, changes in changed.items()
        ),
    ]


def _tracking(recipe: Recipe, tracking: TrackingConfig) -> Recipe:
    window = 4 * tracking.spacing + 1
    predgs = dataclasses.replace(recipe.predgs, tracking=tracking, window=window)
    return dataclasses.replace(recipe, predgs=predgs)


def backbone_arms(setting: Setting) -> list[Arm]:
    """Plain, conv and tracked behind other backbones, narrowed."""
    return [
        Arm(
            f"{backbone}: {'plain' if adapter == 'none' else f'PDR {adapter}'}",
            setting.recipe(
                full=False,
                adapter=adapter,
                loss="l1_ssim",
                backbone=backbone,
                backbone_options=options,
                sampling="none",
            ),
        )
        for backbone, options in BACKBONES.items()
        for adapter in ("none", "conv", "tracked")
    ]


def step_ratio(setting: Setting, full: bool, frame_shape: tuple[int, int, int]) -> float:
    """How many steps of plain TAU take as long as one of PDR tracked, here and now."""
    plain, tracked = (
        step_time(setting.recipe(full=full, adapter=name, loss="l1_ssim"), frame_shape, repeats=9)
        for name in ("none", "tracked")
    )
    # Other work on the machine disturbs CPU time less; a GPU's time is not in it.
    kind = "cpu" if jax.default_backend() == "cpu" else "median"
    return round(tracked[kind] / plain[kind], 2)


def long_arms(setting: Setting, full: bool) -> list[Arm]:
    """Plain and PDR with `LONGER` times the steps."""
    arms = adapter_arms(setting, full, ("none", "paper", "conv", "tracked"), LONGER)
    return [
        dataclasses.replace(arm, label=f"{arm.label}, {arm.recipe.steps} steps") for arm in arms
    ]


def futures_arms(setting: Setting, full: bool) -> list[Arm]:
    """Plain and tracked, alone and with a diffusion; three times the steps."""
    return adapter_arms(setting, full, ("none", "tracked", "diffusion", "tracked+diffusion"), 3)


def adapter_arms(
    setting: Setting, full: bool, adapters: Sequence[str], longer: int = 1
) -> list[Arm]:
    """An arm for each adapter, with `longer` times the steps."""
    arms = []
    for adapter in adapters:
        recipe = setting.recipe(full=full, adapter=adapter, loss="l1_ssim")
        steps = longer * recipe.steps
        first, _, rest = adapter.partition("+")
        name = {"none": "plain", "diffusion": "plain + diffusion"}.get(first, f"PDR {first}")
        name += f" + {rest}" if rest else ""
        arms.append(Arm(name, dataclasses.replace(recipe, steps=steps, save_every=steps)))
    return arms


def main(
    data: tyro.conf.Positional[Data],
    part: Part = "main",
    data_dir: Path | None = None,
    era5_path: Path | None = None,
    st_lpips: Path | None = None,
    seeds: tuple[int, ...] = (0, 1, 2),
    only: tuple[str, ...] = (),
    full: bool = False,
    folder: Path = Path("runs/judge"),
    shard: tuple[int, int] = (0, 1),
) -> None:
    """Runs a part of the study on one data set.

    Args:
        data: What to train and test on.
        part: Which arms.
        data_dir: Where prepared data lie.
        era5_path: .npz with the array "t2m", (time, latitude, longitude) in kelvin.
        st_lpips: Weights of the shift-tolerant LPIPS (AlexNet), to report it for videos.
        seeds: A run each.
        only: Labels of arms; by default all of the part.
        full: The published sizes and 10,000 steps.
        folder: Of finished runs, which are not repeated.
        shard: Index and count of the processes that share the runs; the one that calls without
            writes the result.
    """
    setting = SETTINGS[data]
    recipe = setting.recipe(full=full, adapter="none", loss="l1_ssim")
    datasets = setting.open(recipe, data_dir, era5_path)
    drawn = part == "futures"
    if drawn:  # which takes long
        datasets = {
            horizon: every_nth(data, -(-len(data.splits["test"]) // FEWER))
            for horizon, data in datasets.items()
        }
    dataset = next(iter(datasets.values()))
    folder = folder / ("full" if full else "small") / data
    folder.mkdir(parents=True, exist_ok=True)
    notes = {}
    if part == "main":
        known, shape = folder / "step_ratio.json", dataset.frame_shape
        notes["step_ratio"] = once(known, lambda: step_ratio(setting, full, shape))
        arms = main_arms(setting, full, notes["step_ratio"])
    elif part == "backbones":
        arms = backbone_arms(setting)
    else:
        made_by = {
            "ablations": ablation_arms,
            "paper": paper_arms,
            "long": long_arms,
            "futures": futures_arms,
        }
        arms = made_by[part](setting, full)
    if unknown := set(only) - {arm.label for arm in arms}:
        raise SystemExit(f"--only: no arm is called {', '.join(sorted(unknown))}")
    arms = [arm for arm in arms if not only or arm.label in only]
    measured = DRAWN if drawn else setting.measured(dataset.frame_shape, st_lpips)
    runs = run_study(
        arms,
        seeds,
        shard=shard,
        dataset=dataset,
        evaluate_on=datasets,
        folder=folder,
        **measured,
    )
    if shard == (0, 1):
        clips = {name: len(source) for name, source in dataset.splits.items()}
        counted = f"{clips['train']} training and {clips['test']} test clips."
        made = {
            **provenance.record(seeds=list(seeds)),
            **notes,
            "data": " ".join(filter(None, (counted, dataset.note))),
            "runs": runs,
        }
        name = f"judge_{data}{'_full' if full else ''}"
        _add(name, part, made, {"data": data, "title": setting.title, "unit": setting.unit})
        figures = provenance.RESULTS / "figures"
        if part == "main" and setting.clip is not None:
            plain, pdr = (latest(folder, label, seeds[0]) for label in ("plain", "PDR tracked"))
            picture.draw(plain, pdr, dataset, figures / f"{name}.png", clip=setting.clip)
        if part == "long":
            logs = {a.label: latest(folder, a.label, seeds[0]) / "metrics.jsonl" for a in arms}
            report.save_curves(figures / f"{name}_long.png", logs)


def _add(name: str, part: str, made: dict[str, Any], about: dict[str, str]) -> None:
    """Adds or replaces a part of a data set's result."""
    path = provenance.RESULTS / f"{name}.json"
    parts = json.loads(path.read_text())["parts"] if path.exists() else {}
    write_json(path, {**about, "parts": {**parts, part: made}})


if __name__ == "__main__":
    tyro.cli(main)
