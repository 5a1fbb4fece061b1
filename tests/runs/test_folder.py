"""What a run folder says of itself."""

import dataclasses
import json
import shutil

import pytest

from pdr_jax.files import write_json
from pdr_jax.runs import folder, resuming
from pdr_jax.runs.saved import Saved


def test_how_the_data_were_read_is_kept_and_may_change(finished, tmp_path):
    run, task, _ = finished
    data = folder.read_data(run)
    assert data["reading"] == task.dataset.reading != ""
    assert folder.recorded_dataset(run).reading == data["reading"]
    changed = tmp_path / "changed"
    shutil.copytree(run, changed)
    write_json(changed / "data.json", {**data, "reading": "in other words", "note": "another"})
    said = []
    saved = Saved(changed / "checkpoints")
    resuming.check_unchanged(changed, task, saved, 4, accept=False, remark=said.append)
    assert said == []
    del data["reading"]
    write_json(changed / "data.json", data)  # as version 0.2 wrote it
    assert folder.recorded_dataset(changed).reading == ""


def test_only_settings_that_differ_are_named(finished):
    run, task, _ = finished
    tracking = dataclasses.replace(task.recipe.predgs.tracking, search=2)
    predgs = dataclasses.replace(task.recipe.predgs, tracking=tracking)
    other = dataclasses.replace(task.recipe, predgs=predgs, seed=7)
    with pytest.raises(FileExistsError) as refused:
        folder.check_vacant(run, other)
    stored = json.loads((run / "recipe.json").read_text())["predgs"]["tracking"]["search"]
    assert f"(predgs.tracking.search=2, there {stored}; seed=7, there 0):" in str(refused.value)
