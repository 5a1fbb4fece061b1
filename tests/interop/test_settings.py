"""Settings of an imported model that are unknown, or that contradict what is used, are refused."""

import pytest

from pdr_jax.interop import family, settings


def test_a_setting_that_is_not_used_is_refused():
    """The public PhyDNet, too, uses 4 for a patch_size that it does not know."""
    with pytest.raises(ValueError, match="patch_size = 3 is given, but patch_size = 4 is what is"):
        settings.check_used({"patch_size": 4}, settings={"patch_size": 3}, config={}, flags={})


def test_settings_that_agree_in_another_form_pass():
    agreeing = {"layer_norm": 1, "num_hidden": "8,8", "in_shape": [4, 1, 8, 8]}
    values = {"layer_norm": True, "num_hidden": (8, 8), "T": 4, "C": 1, "H": 8, "W": 8}
    settings.check_used(values, settings=agreeing, config={}, flags={})


def test_only_models_without_in_shape_have_height_and_num_channels():
    shape = {"height": 32, "num_channels": 1}
    settings.check_settings("predformer", family({"method": "predformer"}), shape, {})
    with pytest.raises(ValueError, match=r"settings\.height: convlstm has no such setting"):
        settings.check_settings("convlstm", family({"method": "convlstm"}), {"height": 32}, {})


def test_values_are_sorted_by_their_source():
    found = settings.sources(
        {"hid_S": 8, "drop": 0.0, "T": 4, "H": 32, "variant": "a", "out_length": 4},
        told={"hid_S", "T"},
        given={"aft_seq_length": 4},
        saved={"variant": "a"},
        dataset="kth",
    )
    assert found == {
        "from the weights": {"hid_S": 8, "T": 4},
        "from the checkpoint's settings": {"variant": "a"},
        "given": {"out_length": 4},
        "assumed from kth": {"H": 32},
        "by default": {"drop": 0.0},
    }
