"""What each of several processes does: `python one_of_several.py PART FOLDER`."""

import dataclasses
import json
import sys
from pathlib import Path

import jax
import numpy as np
from small_runs import SMALL, moving_blobs

import pdr_datasets
from pdr_jax import processes, recipes
from pdr_jax.diffusion import DiffusionConfig
from pdr_jax.evaluation.measuring import measure
from pdr_jax.evaluation.prediction import predict_file
from pdr_jax.files import write_json
from pdr_jax.runs.fit import fit
from pdr_jax.runs.state import load
from pdr_jax.sharding import make_mesh, on_host, shard_batch
from pdr_jax.task import open_task

PARTS = {
    "recurrent": {
        "adapter": "paper",
        "backbone": "convlstm",
        "backbone_options": {"num_hidden": (4,), "patch_size": 2},
        "sampling": "scheduled",
    },
    "tracked": {"adapter": "tracked"},  # behind TAU, which has batch norms
    "resident": {"adapter": "none", "resident_mib": 10},
    "diffusion": {"adapter": "diffusion", "diffusion": DiffusionConfig(widths=(8,), steps=2)},
}
"""Fields of the recipe of each training."""


def train(part: str, folder: Path, devices: int = 0) -> None:
    """A small run in FOLDER/PART: trained, scored, and a prediction with it."""
    recipe = recipes.create("arrays", **{**SMALL, **PARTS[part], "devices": devices})
    if recipe.adapter == "paper":  # starts where the first batch's frames have corners
        predgs = dataclasses.replace(recipe.predgs, position_init="harris", hidden=4)
        recipe = dataclasses.replace(recipe, predgs=predgs)
    # 23 clips: 18 for training, of which 3 are held out, 5 for testing: no whole batches.
    dataset = pdr_datasets.load("arrays", array=moving_blobs(23), in_length=2, out_length=2)
    out = folder / part
    fit(open_task(recipe, dataset), out)
    task, state = load(out, dataset=dataset)
    options = {"batch_size": 2, "devices": devices or 1, "keep_samples": True}
    measured = measure(task, state.variables(), **options, samples=2 * recipe.samples)
    predict_file(task, state.variables(), moving_blobs(3)[:, :2], out / "future.npy", batch_size=2)
    if processes.first():
        first, *_ = measured.values()
        found = {
            "rows": {name: row.figures for name, row in measured.items()},
            "values": first.values["mse"].tolist(),
            "ids": first.ids.tolist(),
        }
        write_json(out / "measured.json", found)


def agree(folder: Path) -> None:
    """Votes, comparisons and copies, written to FOLDER/agreed-INDEX.json."""
    mesh, index = make_mesh(), jax.process_index()
    votes = processes.Votes(mesh)
    cast = [votes.cast(15 if index == 1 else 0, False) for _ in range(2)]
    same = jax.device_put(np.arange(3.0), jax.local_devices()[0])
    own = jax.device_put(np.arange(3.0) + index, jax.local_devices()[0])
    everywhere = jax.NamedSharding(mesh, jax.P())
    tree = {
        name: jax.make_array_from_single_device_arrays((3,), everywhere, [array])
        for name, array in (("same", same), ("own", own))
    }
    processes.check_equal({"same": tree["same"]}, "these")
    try:
        processes.check_equal({"part": tree}, "these")
    except RuntimeError as error:
        refused = str(error)
    split = shard_batch(mesh, np.array([index]))
    found = {"cast": cast, "refused": refused, "whole": on_host(split).tolist()}
    write_json(folder / f"agreed-{index}.json", json.loads(json.dumps(found)))


if __name__ == "__main__":
    processes.join()
    print("printed by", jax.process_index())
    part, folder = sys.argv[1], Path(sys.argv[2])
    agree(folder)
    train(part, folder)
