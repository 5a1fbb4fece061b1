"""The model and its whole configuration, from a configuration and the weights' keys and shapes."""

import pytest
from golden_files import load

from pdr_jax.interop import from_openstl, identify


def shapes_of(name):
    return {key: value.shape for key, value in load(name)[1].items()}


def test_weights_alone_are_enough_for_a_model_whose_sizes_they_tell():
    config, weights, _ = load("simvp_convmixer")
    shapes = shapes_of("simvp_convmixer")
    length, channels, height, width = config["in_shape"]
    name = identify.model({}, shapes)
    found = identify.completed(name, {}, shapes, (length, height, width, channels))
    module, _ = from_openstl(found, weights)
    assert (module.hid_S, module.hid_T) == (config["hid_S"], config["hid_T"])


def test_a_model_that_neither_names_is_refused():
    with pytest.raises(ValueError, match="weights such as head are of no known model"):
        identify.model({}, {"head": (3,)})


def test_a_configuration_of_another_model_is_refused():
    with pytest.raises(ValueError, match="is of 'gsta', the weights are of 'convmixer'"):
        identify.model({"model_type": "gSTA"}, shapes_of("simvp_convmixer"))


@pytest.mark.parametrize(
    ("name", "given", "missing"),
    [
        ("mau", {}, "tau, cell_mode, model_mode;"),
        ("phydnet", {}, "patch_size;"),
        ("wast", {}, "block_list, drop_path"),
        ("dmvfn", {"beta": 0.5}, "scale;"),
    ],
)
def test_settings_that_weights_do_not_tell_are_asked_for(name, given, missing):
    with pytest.raises(ValueError, match=rf"settings\.\w+ is missing: .*do not tell its {missing}"):
        identify.completed(name, given, shapes_of(name), (4, 16, 16, 1))
