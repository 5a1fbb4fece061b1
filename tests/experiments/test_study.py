"""Comparisons: what finished runs are kept for, what is scored, and in what arms differ."""

import dataclasses
import json

import numpy as np
import pytest

import pdr_datasets
from experiments import backbones, study
from pdr_jax import recipes

pytestmark = pytest.mark.rest


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """An arm that gets worse on the test clips, which choose its checkpoint; `run_arm`'s call."""
    array = np.random.default_rng(0).integers(0, 255, (12, 4, 8, 8, 1), np.uint8)
    dataset = pdr_datasets.load("arrays", array=array, in_length=2, out_length=2)
    recipe = recipes.create(
        "arrays",
        adapter="none",
        backbone_options={"hid_S": 4, "hid_T": 8, "N_S": 2, "N_T": 2},
        in_length=2,
        out_length=2,
        learning_rate=0.5,
        schedule="constant",
        batch_size=4,
        steps=2,
        save_every=1,
        devices=1,
        protocol="openstl",
    )
    folder = tmp_path_factory.mktemp("study")
    call = {"dataset": dataset, "evaluate_on": {"2 -> 2": dataset}, "folder": folder}
    call["names"] = ("psnr_uint8",)
    arm = study.Arm("plain, mse", recipe)
    return arm, call, study.run_arm(arm, 0, **call)


def test_the_state_that_the_protocol_chooses_is_scored(finished):
    _, call, result = finished
    run = study.latest(call["folder"], "plain, mse", 0)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    chosen = [line["test_mse"] for line in lines if "test_mse" in line]
    assert len(chosen) == 2
    assert min(chosen) < chosen[-1] / 2
    np.testing.assert_allclose(result["scores"]["2 -> 2"]["model"]["mse"], min(chosen), rtol=1e-4)
    assert result["steps"] == 2


def test_persistence_has_the_models_metrics_and_is_scored_once(finished):
    _, call, result = finished
    model, still = (result["scores"]["2 -> 2"][name] for name in ("model", "persistence"))
    assert set(model) == set(still) >= {"psnr_uint8", "mse"}
    test = call["dataset"].splits["test"]
    clips = [test[i]["frames"] for i in range(len(test))]
    errors = [(clip[1] / 255.0 - frame / 255.0) ** 2 for clip in clips for frame in clip[2:]]
    np.testing.assert_allclose(still["mse"], np.sum(errors) / len(errors), rtol=1e-4)
    assert json.loads((call["folder"] / "persistence_2.json").read_text()) == still
    assert result["tracks"] == {}


def test_a_finished_run_is_not_repeated(finished):
    arm, call, result = finished
    assert study.run_arm(arm, 0, **call) == json.loads(json.dumps(result))


@pytest.mark.parametrize(
    ("changes", "longer", "message"),
    [
        ({"steps": 4}, None, r"recipe\.steps=4, there 2"),
        ({"loss_options": {"alpha": 0.5}}, None, r"recipe\.loss_options"),
        ({}, 3, r"data\.2 -> 2="),
    ],
)
def test_a_finished_run_is_not_taken_for_another(finished, changes, longer, message):
    arm, call, _ = finished
    arm = dataclasses.replace(arm, recipe=dataclasses.replace(arm.recipe, **changes))
    if longer:
        other = dataclasses.replace(call["dataset"], out_length=longer)
        call = call | {"evaluate_on": {"2 -> 2": other}}
    before = sorted(call["folder"].rglob("*"))
    with pytest.raises(ValueError, match=message):
        study.run_arm(arm, 0, **call)
    assert sorted(call["folder"].rglob("*")) == before


def test_a_run_from_before_recipes_were_kept_is_not_taken_either(finished, tmp_path):
    arm, call, result = finished
    old = {key: value for key, value in result.items() if key not in ("recipe", "data")}
    (tmp_path / "plain,_mse-seed0.json").write_text(json.dumps(old))
    with pytest.raises(ValueError, match=r"recipe\.dataset='arrays', there None"):
        study.run_arm(arm, 0, **call | {"folder": tmp_path})


def test_the_latest_try_is_the_one_that_finished(tmp_path):
    for number in (0, 2, 10):
        (tmp_path / f"PDR,_mse-seed0.{number}").mkdir()
    (tmp_path / "PDR,_mse-seed0.json").touch()
    assert study.latest(tmp_path, "PDR, mse", 0).name == "PDR,_mse-seed0.10"


@pytest.mark.parametrize("dataset", ["era5", "taxibj"])
def test_arms_differ_in_loss_and_representation_alone(dataset):
    named = {"adapter", "loss", "loss_options", "predgs", "fusion", "fusion_init"}
    arms = [arm.recipe.to_json() for arm in backbones.arms(dataset, steps=1)]
    assert len(arms) == 3 * len(backbones.BACKBONES)
    for i in range(0, len(arms), 3):
        shared = [{k: v for k, v in arm.items() if k not in named} for arm in arms[i : i + 3]]
        assert shared[0] == shared[1] == shared[2]
