"""Runs on clips with missing pixels: trained, scored and continued without a NaN."""

import json

import numpy as np
import pytest
from small_runs import SMALL, moving_blobs

from pdr_jax import recipes
from pdr_jax.commands import main
from pdr_jax.diffusion import DiffusionConfig
from pdr_jax.runs.fit import fit
from pdr_jax.task import open_dataset, open_task

pytestmark = pytest.mark.rest

RECURRENT = {"num_hidden": (4,), "patch_size": 4}
KINDS = {
    "scheduled": {
        "backbone": "convlstm",
        "adapter": "none",
        "backbone_options": RECURRENT,
        "sampling": "scheduled",
    },
    "reverse": {
        "backbone": "predrnnv2",
        "adapter": "none",
        "backbone_options": RECURRENT,
        "sampling": "reverse",
    },
    "drawn": {
        "adapter": "tracked+diffusion",
        "diffusion": DiffusionConfig(widths=(8,), steps=2),
    },
}


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """A file of clips that lack a corner each, a whole frame, and one all its frames."""
    frames = moving_blobs(20, size=16).astype(np.float32)
    frames[:, :, :3, :5] = np.nan
    frames[3, 2] = frames[7, 1] = frames[18, 3] = frames[19] = np.nan
    path = tmp_path_factory.mktemp("missing") / "clips.npy"
    np.save(path, frames)
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_no_nan_gets_out(kind, clips, tmp_path, capsys):
    recipe = recipes.create("arrays", **{**SMALL, **KINDS[kind], "steps": 2, "save_every": 1})
    recipe.data_options.update(path=str(clips), missing="mask")
    run = tmp_path / "run"
    fit(open_task(recipe, open_dataset(recipe)), run)
    logged = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in logged if "loss" in line]
    assert len(losses) == 2
    assert np.isfinite(losses).all()
    asked = ["--extrapolation"] + (["--samples", "2"] if kind == "drawn" else [])
    main(["eval", str(run), *asked, "--batch-size", "2"])
    (scored,) = run.glob("eval-*.json")
    rows = json.loads(scored.read_text())["rows"]
    assert {"persistence", "extrapolation"} < rows.keys()
    assert (len(rows) > 5) == (kind == "drawn")
    figures = {(name, metric): value for name, row in rows.items() for metric, value in row.items()}
    assert not {key for key, value in figures.items() if not np.isfinite(value)}
    np.save(tmp_path / "observed.npy", np.load(clips)[:, :2])
    main(["predict", str(run), str(tmp_path / "observed.npy"), str(tmp_path / "future.npy")])
    assert np.isfinite(np.load(tmp_path / "future.npy")).all()
