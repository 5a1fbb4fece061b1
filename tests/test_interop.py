"""OpenSTL's weights give OpenSTL's outputs (recorded in tests/golden)."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

from pdr_jax.interop import from_openstl

GOLDEN = Path(__file__).parent / "golden"


def load(name):
    with np.load(GOLDEN / f"{name}.npz") as file:
        arrays = {key: file[key] for key in file.files}
    config = json.loads(str(arrays.pop("config")))
    weights = {k.removeprefix("param/"): v for k, v in arrays.items() if k.startswith("param/")}
    return config, weights, arrays


def channels_last(array):
    return np.moveaxis(array, -3, -1)


@pytest.fixture(scope="module")
def tau():
    return load("tau")[:2]


@pytest.mark.parametrize("name", ["tau", "simvp_gsta", "simvp_incepu"])
def test_outputs_equal_openstl(name):
    config, weights, arrays = load(name)
    module, variables = from_openstl(config, weights)

    @jax.jit
    def parts(variables, frames):
        latent, skip = module.apply(variables, frames, method="encode")
        hidden = module.apply(variables, latent, method="translate")
        return latent.reshape(-1, *latent.shape[2:]), skip, hidden, module.apply(variables, frames)

    with jax.default_matmul_precision("highest"):
        got = parts(variables, channels_last(arrays["input"]))
    for value, key in zip(got, ("enc_latent", "enc_skip", "hid_out", "output"), strict=True):
        expected = channels_last(arrays[key])
        error = np.abs(value - expected).max() / np.abs(expected).max()
        assert error < 1e-5, f"{key}: relative error {error:.1e}"
    assert sum(leaf.size for leaf in jax.tree.leaves(variables["params"])) == config["n_params"]


def test_training_settings_in_the_config_are_ignored_and_names_are_free_of_case(tau):
    config, weights = tau
    module, _ = from_openstl(
        {**config, "model_type": "TAU", "lr": 1e-3, "sched": "cosine"}, weights
    )
    assert module.hid_T == config["hid_T"]
    assert module.in_shape == (4, 16, 16, 2)


def test_method_stands_in_for_a_model_type(tau):
    config, weights = tau
    del (config := dict(config))["model_type"]
    module, _ = from_openstl({**config, "method": "TAU"}, weights)
    assert type(module).__name__ == "TAU"


def test_weights_that_do_not_fit_are_named(tau):
    config, weights = tau
    key = "hid.enc.1.block.attn.spatial_gating_unit.fc.0.weight"
    broken = {k: v for k, v in weights.items() if k != key}
    broken["dec.readout.gain"] = np.ones(2)
    broken["enc.enc.0.conv.conv.weight"] = np.ones((8, 3, 3, 3))
    with pytest.raises(ValueError, match="does not fit") as raised:
        from_openstl(config, broken)
    message = str(raised.value)
    assert f"missing: {key};" in message
    assert "not expected: dec.readout.gain;" in message
    assert "misshapen: enc.enc.0.conv.conv.weight (8, 3, 3, 3), expected (8, 2, 3, 3)" in message


def test_an_unknown_model_is_refused(tau):
    config, weights = tau
    with pytest.raises(ValueError, match="expected one of incepu, gsta, tau"):
        from_openstl({**config, "model_type": "crevnet"}, weights)
