"""Which clips train, choose the checkpoint and test; and the note on a model's output range."""

import dataclasses

import numpy as np
import pytest
from small_runs import SMALL

import pdr_datasets
from pdr_jax import recipes
from pdr_jax.task import open_task, output_note


@pytest.fixture(scope="module")
def recipe():
    return recipes.create("arrays", adapter="none", **SMALL)


def test_openstl_chooses_on_the_test_set(recipe, small_dataset):
    task = open_task(dataclasses.replace(recipe, protocol="openstl"), small_dataset)
    assert len(task.train) == 16
    assert task.holdout is None
    assert task.selection == ("test", task.test)
    assert "TEST" in task.chosen_on


def test_held_out_windows_share_no_frame_with_the_rest(recipe):
    series = np.random.default_rng(0).random((60, 8, 8, 1), np.float32)
    dataset = pdr_datasets.load("arrays", array=series, in_length=2, out_length=2)
    task = open_task(recipe, dataset)
    last, first = task.train[len(task.train) - 1]["id"], task.holdout[0]["id"]
    assert last + 4 == first
    assert len(task.holdout) == int(0.2 * len(dataset.splits["train"]))


def test_a_validation_split_chooses_where_there_is_one(recipe, small_dataset):
    splits = {**small_dataset.splits, "val": small_dataset.splits["test"]}
    task = open_task(recipe, dataclasses.replace(small_dataset, splits=splits))
    assert task.selection == ("val", splits["val"])
    assert len(task.train) == 16


def test_bounds_of_the_output_are_noted(small_dataset):
    def note(backbone, data_range):
        recipe = recipes.create("arrays", backbone=backbone, in_length=2, adapter="none")
        return output_note(
            open_task(recipe, dataclasses.replace(small_dataset, data_range=data_range))
        )

    said = note("phydnet", (-3.14159, 4.0))
    assert said == "output: PhyDNet predicts values from 0 to 1, and the data go from -3.14 to 4"
    assert note("phydnet", (0.0, 1.0)) == note("tau", (-3.0, 4.0)) == ""


def test_the_path_of_an_array_is_asked_for():
    with pytest.raises(ValueError, match=r"data_options\.path is missing: expected the file"):
        open_task(recipes.create("arrays"))
