r"""Weather radar: PDR and futures against what nowcasters trust.

    pdr data prepare radar --manual-dir FOLDER --height 64 --width 64 --crop 64-99-512-512 \
        --zr-a 316 --zr-b 1.5 --test-fraction 0 --val-fraction 0
    python -m experiments.nowcast

FOLDER holds MeteoSwiss' three events of https://github.com/pySTEPS/pysteps-data (radar/mch) and a
radar.json. Each event in turn tests what was trained on the others, with a seed of its own: clips
of an event begin at every map, so that they share maps. No rain is 0 and the three events' maximum
1: the test event is in that one number. pysteps has a row where it is installed.
"""

import dataclasses
import importlib.util
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro

import pdr_datasets
from experiments import provenance
from experiments.judge import DRAWN, adapter_arms
from experiments.judged import Chosen, Setting
from experiments.study import run_study
from pdr_jax.evaluation.extrapolation import PAIRS, extrapolator
from pdr_jax.evaluation.predictors import Predict
from pdr_jax.files import write_json
from pdr_jax.task import open_dataset

RAIN = Setting(
    "Rain over Switzerland, 64x64 of 8 km, 10 -> 10 maps of 5 minutes",
    "radar",
    {"batch_size": 4, "steps": 200},
    {"height": 64, "width": 64, "crop": "64-99-512-512", "zr_a": 316.0, "zr_b": 1.5},
    split={"test_fraction": 0.0, "val_fraction": 0.0},
    unit="dBZ",
    halved=True,
)
ADAPTERS = ("none", "paper", "tracked", "diffusion", "tracked+diffusion")


def folds(dataset: pdr_datasets.VideoDataset) -> dict[str, pdr_datasets.VideoDataset]:
    """By event, the data set with its clips for testing and all others for training."""
    assert dataset.clip_name is not None
    clips = dataset.splits["train"]
    ids = [int(clips[i]["id"]) for i in range(len(clips))]
    events = np.array([dataset.clip_name(id).partition(" + ")[0] for id in ids])
    found = {}
    for event in np.unique(events).tolist():
        parts = {"train": events != event, "test": events == event}
        splits = {part: Chosen(clips, np.flatnonzero(m).tolist()) for part, m in parts.items()}
        found[event] = dataclasses.replace(dataset, splits=splits)
    return found


def baselines(data_range: tuple[float, float]) -> dict[str, Predict]:
    """Extrapolations, by label."""
    found = {"extrapolation": extrapolator(data_range)}
    if importlib.util.find_spec("pysteps"):
        found["pysteps"] = pysteps_extrapolation
    return found


def pysteps_extrapolation(observed: jax.Array, horizon: int) -> jax.Array:
    """Pysteps' extrapolation by its Lucas-Kanade motion; nothing comes in from outside."""
    from pysteps import motion, nowcasts

    track, carry = motion.get_method("LK"), nowcasts.get_method("extrapolation")
    maps = np.asarray(observed, np.float64)[:, -PAIRS - 1 :, ..., 0]
    carried = np.stack([carry(clip[-1], track(clip), horizon) for clip in maps])
    return jnp.asarray(np.nan_to_num(carried)[..., None], jnp.float32)


def main(
    data_dir: Path | None = None,
    steps: int = 200,
    folder: Path = Path("runs/nowcast"),
) -> None:
    """Runs the study and writes results/nowcast.json.

    Args:
        data_dir: Where prepared data lie.
        steps: Of each run.
        folder: Of finished runs, which are not repeated.
    """
    setting = dataclasses.replace(RAIN, fields={**RAIN.fields, "steps": steps})
    arms = adapter_arms(setting, full=False, adapters=ADAPTERS)
    recipe = dataclasses.replace(arms[0].recipe, data_dir=data_dir)
    whole = open_dataset(recipe)
    folder.mkdir(parents=True, exist_ok=True)
    runs: list[dict[str, Any]] = []
    tests = folds(whole)
    for seed, dataset in enumerate(tests.values()):
        horizon = f"{dataset.in_length} -> {dataset.out_length}"
        call: dict[str, Any] = {
            "dataset": dataset,
            "evaluate_on": {horizon: dataset},
            "folder": folder,
            **DRAWN,
        }
        runs += run_study(arms[:1], (seed,), **call, others=baselines(dataset.data_range))
        runs += run_study(arms[1:], (seed,), **call)
    result = {
        **provenance.record(seeds=list(range(len(tests)))),
        "title": setting.title,
        "unit": setting.unit,
        "events": list(tests),
        "reading": whole.reading,
        "note": whole.note,
        "runs": runs,
    }
    write_json(provenance.RESULTS / "nowcast.json", result)


if __name__ == "__main__":
    tyro.cli(main)
