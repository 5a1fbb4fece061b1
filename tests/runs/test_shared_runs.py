"""Runs whose state is split over devices, and whose batches are taken in parts."""

import dataclasses
import shutil

import jax
import numpy as np
import pytest
from flax import linen as nn

from pdr_jax import PDR, sharding
from pdr_jax.backbones.layers.norm import BatchNorm
from pdr_jax.runs.fit import fit
from pdr_jax.runs.saved import Saved
from pdr_jax.runs.state import load
from pdr_jax.task import open_task


class Scaled(nn.Module):
    """A model that is quick to compile: a factor for each pixel of the normalised last frame."""

    @nn.compact
    def __call__(self, frames, horizon=None, *, train=False):
        gain = self.param("gain", nn.initializers.ones, (1, 1, *frames.shape[2:]))
        last = BatchNorm()(frames[:, -1:], train)
        return gain * last.repeat(horizon or frames.shape[1], axis=1)


MODEL = PDR(Scaled())


@pytest.fixture
def recipe(small_recipe, monkeypatch):
    monkeypatch.setattr(sharding, "SPLIT_FROM", 64)
    return dataclasses.replace(
        small_recipe, adapter="none", batch_size=8, steps=4, devices=4, shard_parameters=True
    )


def test_a_split_run_goes_on_whole_on_one_device(recipe, small_dataset, tmp_path):
    task = open_task(recipe, small_dataset, MODEL)
    split = fit(task, tmp_path / "split")
    assert split.params["backbone"]["gain"].addressable_data(0).size == 64 // 4
    shutil.copytree(tmp_path / "split", tmp_path / "whole")
    shutil.rmtree(tmp_path / "whole/checkpoints/4")
    alone = dataclasses.replace(recipe, devices=1, shard_parameters=False)
    said = []
    whole = fit(
        open_task(alone, small_dataset, MODEL),
        tmp_path / "whole",
        resume=True,
        remark=said.append,
    )
    assert said[:2] == [
        "since step 2: devices=1, was 4",
        "since step 2: shard_parameters=False, was True",
    ]
    for ours, theirs in zip(*map(jax.tree.leaves, (whole, split)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)
    scores = [Saved(tmp_path / run / "checkpoints").score(4) for run in ("split", "whole")]
    assert scores[0] == pytest.approx(scores[1], rel=1e-5)
    _, loaded = load(tmp_path / "split", dataset=small_dataset, model=MODEL, which="last")
    np.testing.assert_array_equal(loaded.ema["params"]["backbone"]["gain"],
                                  split.ema["params"]["backbone"]["gain"])  # fmt: skip


def test_micro_batches_are_told_of_where_batches_are_normalised(recipe, small_dataset, tmp_path):
    said, parts = [], dataclasses.replace(recipe, accumulate=2, steps=1)
    fit(open_task(parts, small_dataset, MODEL), tmp_path / "run", remark=said.append)
    assert said == ["accumulate=2: the model's batch statistics are of 4 clips at a time, not 8"]


def test_micro_batches_that_the_devices_cannot_share_are_refused(recipe, small_dataset, tmp_path):
    parts = dataclasses.replace(recipe, accumulate=4)
    expected = "batch_size=8: expected a multiple of 16: accumulate=4 times the 4 devices"
    with pytest.raises(ValueError, match=expected):
        fit(open_task(parts, small_dataset, MODEL), tmp_path / "run")
    with pytest.raises(ValueError, match="accumulate=3: expected a divisor of batch_size=8"):
        dataclasses.replace(recipe, accumulate=3)
