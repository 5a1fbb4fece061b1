"""Training on clips that are resident on the devices gives the losses of streamed clips."""

import dataclasses
import json

import flax.linen as nn
import jax
import numpy as np
import pytest

import pdr_datasets
from pdr_jax import PDR, recipes
from pdr_jax.runs.fit import fit
from pdr_jax.task import open_task


class Blend(nn.Module):
    """Learns a factor for the last frame; quick to compile."""

    @nn.compact
    def __call__(self, frames, horizon, *, train=False):
        gain = self.param("gain", nn.initializers.ones, (1, 1, 1, 1, 1))
        return gain * frames[:, -1:].repeat(horizon, axis=1)


MODEL = PDR(Blend())
SERIES = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1)).astype(np.uint8)
STREAMED = recipes.create(
    "arrays",
    adapter="none",
    loss="mse",
    in_length=2,
    out_length=2,
    batch_size=4,
    steps=10,
    save_every=4,
    log_every=1,
    holdout=0.2,
)


@pytest.fixture(scope="module")
def dataset():
    return pdr_datasets.load("arrays", array=SERIES, in_length=2, out_length=2)


def lines(folder):
    timing = {"frames_per_second", "seconds_left"}
    found = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [{key: line[key] for key in line.keys() - timing} for line in found]


@pytest.mark.parametrize("devices", [1, 4])
def test_losses_are_those_of_the_streamed_run(dataset, tmp_path, devices):
    streamed = dataclasses.replace(STREAMED, devices=devices)
    resident = dataclasses.replace(streamed, resident_mib=1)
    for name, recipe in (("streamed", streamed), ("resident", resident)):
        fit(open_task(recipe, dataset, MODEL), tmp_path / name)

    def stop(figures):
        if figures["step"] == 6:
            raise KeyboardInterrupt

    # Resumed from step 4, in the middle of the second epoch, with streamed clips.
    with pytest.raises(KeyboardInterrupt):
        fit(open_task(resident, dataset, MODEL), tmp_path / "resumed", report=stop)
    said = []
    state = fit(
        open_task(streamed, dataset, MODEL), tmp_path / "resumed", resume=True, remark=said.append
    )
    assert int(jax.device_get(state.step)) == 10
    wanted = lines(tmp_path / "streamed")
    assert len({line["loss"] for line in wanted if "loss" in line}) == 10
    assert lines(tmp_path / "resident") == wanted
    assert lines(tmp_path / "resumed") == wanted


def test_what_cannot_be_resident_is_refused(tmp_path):
    with pytest.raises(ValueError, match="resident_mib=1: expected 0 with augment"):
        dataclasses.replace(STREAMED, resident_mib=1, augment=True)
    large = np.random.default_rng(0).integers(0, 256, (50, 200, 200, 1)).astype(np.uint8)
    dataset = pdr_datasets.load("arrays", array=large, in_length=2, out_length=2)
    recipe = dataclasses.replace(STREAMED, resident_mib=1, devices=1)
    with pytest.raises(ValueError, match=r"resident_mib=1: the first 24 of \d+ clips have 27"):
        fit(open_task(recipe, dataset, MODEL), tmp_path / "large")
    assert not (tmp_path / "large").exists()
