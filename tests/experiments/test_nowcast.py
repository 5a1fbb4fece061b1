"""The study of radar: folds by event, baselines beside the models, and what its page says."""

import dataclasses

import numpy as np
import pytest

import pdr_datasets
from experiments import nowcast
from experiments.judge import DRAWN
from experiments.pages import futures

pytestmark = pytest.mark.rest

SAMPLES = f"model ({DRAWN['samples']} samples)"


@pytest.fixture
def events():
    """Seven clips of three events, which follow one another."""
    array = np.zeros((7, 4, 8, 8, 1), np.uint8)
    dataset = pdr_datasets.load("arrays", array=array, in_length=2, out_length=2)
    names = ["a + 0 maps", "a + 1 maps", "b + 0 maps", "b + 1 maps", "b + 2 maps", "c + 0 maps"]
    clips = [{"frames": array[i], "id": np.int64(i)} for i in range(len(names))]
    return dataclasses.replace(
        dataset, splits={"train": clips}, clip_name=lambda clip: names[int(clip)]
    )


def test_each_event_tests_what_learned_on_the_others(events):
    def ids(source):
        return [int(source[i]["id"]) for i in range(len(source))]

    found = nowcast.folds(events)
    assert {event: ids(fold.splits["test"]) for event, fold in found.items()} == {
        "a": [0, 1],
        "b": [2, 3, 4],
        "c": [5],
    }
    for fold in found.values():
        assert sorted(ids(fold.splits["train"]) + ids(fold.splits["test"])) == list(range(6))


def test_samples_and_extrapolations_are_rows_of_their_own():
    def run(label, seed, model, **others):
        rows = {"model": {"mse": model}, "persistence": {"mse": 3.0}, **others}
        return {"label": label, "seed": seed, "parameters": 5, "scores": {"2 -> 2": rows}}

    drawn = {SAMPLES: {"mse": 2.0, "crps": 0.5}}
    runs = [
        run("plain", 0, 1.0, extrapolation={"mse": 4.0}),
        run("plain + diffusion", 0, 1.5, **drawn),
    ]
    found = {arm["label"]: arm["scores"]["2 -> 2"] for arm in futures.as_arms(runs)}
    assert {label: rows["model"]["mse"] for label, rows in found.items()} == {
        "extrapolation": 4.0,
        "plain": 1.0,
        "plain + diffusion": 1.5,
        f"plain + diffusion{futures.SAMPLES}": 2.0,
    }
    assert all(rows["persistence"] == {"mse": 3.0} for rows in found.values())
