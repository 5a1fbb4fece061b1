"""What keys and shapes of a state dict tell of its model (recorded in tests/golden)."""

import numpy as np
import pytest
from golden_files import GOLDEN, load

from pdr_jax.interop import clues, convert, family, names
from pdr_jax.interop.family import model_type, naming


def with_weights(path):
    with np.load(path) as file:
        return any(key.startswith("param/") for key in file.files)


@pytest.mark.parametrize("name", sorted(p.stem for p in GOLDEN.glob("*.npz") if with_weights(p)))
def test_weights_tell_model_and_sizes(name):
    config, weights, _ = load(name)
    shapes = {key: value.shape for key, value in weights.items()}
    found = clues.model_type(shapes)
    assert found == (model_type(config) or (name if name in names() else "predformer"))
    channels = config["in_shape"][1] if "in_shape" in config else config["num_channels"]
    sizes = clues.sizes(found, shapes, channels)
    assert {key: {"residual": False, **config}.get(key) for key in sizes} == sizes
    assert clues.are_read(found) == bool(sizes)
    assert clues.length(found, shapes) in (None, config.get("in_shape", [None])[0])
    assert set(clues.missing(found, sizes)) <= {"variant", "heads", "dim_head", "residual"} | {
        "tau", "cell_mode", "model_mode", "patch_size", "scale", "beta",
        "pixel_max", "error_activation", "A_activation",
    }  # fmt: skip


@pytest.mark.parametrize(("variant", "open_"), [("triplet_tst", True), ("fullattention", False)])
def test_predformers_residual_is_missing_only_of_variants_with_layers(variant, open_):
    config, weights, _ = load(f"predformer_{variant}")
    shapes = {key: value.shape for key, value in weights.items()}
    sizes = clues.sizes("predformer", shapes, config["num_channels"])
    assert ("residual" in clues.missing("predformer", sizes)) == open_


def test_a_setting_that_is_given_is_not_missing():
    assert clues.missing("dmvfn", {"num_features": [4, 4], "beta": 0.5}) == ("scale",)


@pytest.mark.parametrize("name", ["gsta", "convmixer", "incepu"])
def test_a_translator_as_wide_as_the_packed_frames_has_no_reductions(name):
    """Four frames of 8 channels, packed, are as wide as hid_T."""
    sizes = {"hid_S": 8, "N_S": 4, "spatio_kernel_enc": 5, "spatio_kernel_dec": 7}
    sizes |= {"hid_T": 32, "N_T": 2} | ({"mlp_ratio": 3.0} if name == "gsta" else {})
    kind = family(naming(name))
    module = convert.build(kind, {**sizes, "in_shape": (4, 1, 16, 16)})
    shapes = {
        pair.key: pair.layout.shape(pair.leaf.shape)
        for pair in convert.counterparts(module, kind).values()
    }
    assert clues.sizes(name, shapes, 1) == sizes
    assert clues.length(name, shapes) == 4


def test_weights_that_only_resemble_a_model_tell_no_sizes():
    shapes = {"hid.enc.0.block.attn.spatial_gating_unit.fc.0.weight": (4, 4)}
    assert clues.model_type(shapes) == "tau"
    assert clues.sizes("tau", shapes, 1) == {}
    assert clues.length("tau", shapes) is None
