"""State dicts of OpenSTL become backbones with OpenSTL's outputs (recorded in tests/golden).

The other models' outputs are checked in tests/backbones.
"""

import jax
import numpy as np
import pytest
from golden_files import check_simvp, load

from pdr_jax.interop import family, from_openstl, to_openstl


@pytest.fixture(scope="module")
def tau():
    return load("tau")[:2]


@pytest.mark.parametrize("name", ["tau", "simvp_gsta", "simvp_incepu"])
def test_outputs_equal_openstl(name):
    check_simvp(name)


def test_training_settings_in_the_config_and_case_of_names_are_ignored(tau):
    config, weights = tau
    module, _ = from_openstl(
        {**config, "model_type": "TAU", "lr": 1e-3, "sched": "cosine"}, weights
    )
    assert module.hid_T == config["hid_T"]
    assert module.in_shape == (4, 16, 16, 2)


def test_method_serves_if_there_is_no_model_type(tau):
    config, weights = tau
    del (config := dict(config))["model_type"]
    module, _ = from_openstl({**config, "method": "TAU"}, weights)
    assert type(module).__name__ == "TAU"


def test_an_entry_that_config_lacks_is_named(tau):
    config, weights = tau
    del (config := dict(config))["in_shape"]
    with pytest.raises(ValueError, match="config: 'in_shape' is missing; tau needs it"):
        from_openstl(config, weights)


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
    assert "hid_S" not in message  # the sizes that the weights tell agree with config
    assert "not expected: dec.readout.gain;" in message
    assert "misshapen: enc.enc.0.conv.conv.weight (8, 3, 3, 3), expected (8, 2, 3, 3)" in message


def test_a_size_that_the_weights_contradict_is_named_before_a_few_keys(tau):
    config, weights = tau
    with pytest.raises(ValueError, match="does not fit") as raised:
        from_openstl({**config, "hid_S": 2 * config["hid_S"]}, weights)
    message = str(raised.value)
    hidden = config["hid_S"]
    assert f"hid_S = {2 * hidden} is asked for, {hidden} in the weights" in message
    assert " more" in message
    assert len(message) < 700


@pytest.mark.parametrize("bad", [np.nan, -np.inf, 1e300])
def test_weights_that_are_not_finite_are_refused(bad, tau):
    """In batch-norm statistics too; 1e300 is infinite in float32."""
    config, weights = tau
    keys = [key for key in weights if key.endswith("running_var")][:2]
    broken = {key: weights[key].astype(np.float64) for key in keys}
    for value in broken.values():
        value[1] = bad
    message = rf"{keys[0]} is NaN or infinite in 1 of its \d+ values, .* 1 other keys; expected"
    with pytest.raises(ValueError, match=message):
        from_openstl(config, weights | broken)


@pytest.mark.parametrize("dtype", ["i1", "U3", "c8", "?"])
def test_weights_of_another_type_are_refused(dtype, tau):
    config, weights = tau
    key = "dec.readout.bias"
    with pytest.raises(ValueError, match=f"{key} holds .*; expected floating point"):
        from_openstl(config, weights | {key: np.zeros(weights[key].shape, dtype)})


def test_weights_in_other_byte_orders_are_read(tau):
    config, weights = tau
    _, variables = from_openstl(
        config, {k: v.astype(v.dtype.newbyteorder(">")) for k, v in weights.items()}
    )
    jax.tree.map(np.testing.assert_array_equal, variables, from_openstl(config, weights)[1])


def test_variables_that_are_not_finite_are_not_exported(tau):
    config, weights = tau
    module, variables = from_openstl(config, weights)
    broken = jax.tree.map(lambda leaf: leaf * np.nan, variables)
    with pytest.raises(ValueError, match="is NaN or infinite in"):
        to_openstl(module, family(config), broken)


def test_an_unknown_model_is_refused(tau):
    config, weights = tau
    with pytest.raises(ValueError, match="expected one of incepu, gsta, tau, convmixer"):
        from_openstl({**config, "model_type": "cravenet"}, weights)
