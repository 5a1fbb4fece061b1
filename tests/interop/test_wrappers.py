"""What wraps a model, counts, averages or judges it is told from the model's own weights."""

import numpy as np
import pytest

from pdr_jax.interop.wrappers import unwrapped

# Keys as of the model SimVP: "hid.enc.0.conv_dw." tells its type.
MODEL = {
    key: np.full(2, number, np.float32)
    for number, key in enumerate(
        ("enc.0.weight", "hid.enc.0.conv_dw.weight", "hid.enc.0.conv_dw.bias", "dec.0.weight")
    )
}
ONE = np.ones(1)


def under(prefix):
    return {prefix + key: value for key, value in MODEL.items()}


def within(part):
    """The weights of a model of which a part is wrapped."""
    return {key.replace("hid.", f"hid.{part}."): value for key, value in MODEL.items()}


@pytest.mark.parametrize(
    ("state", "prefix", "remarks"),
    [
        (MODEL, "", ""),
        (under("module."), "", ""),
        (under("_orig_mod.module."), "", ""),
        (under("_forward_module.model."), "model.", ""),
        (under("model._fsdp_wrapped_module."), "model.", ""),
        (under("lit.net."), "lit.net.", ""),
        (within("_orig_mod"), "", ""),
        (within("module"), "", ""),
        (within("_checkpoint_wrapped_module"), "", ""),
        ({"n_averaged": np.array(5), **under("module.")}, "", "n_averaged (models that were av"),
        ({**MODEL, "total_ops": ONE, "hid.total_params": ONE}, "", "total_params (parameters, by"),
        (
            {**under("model."), "criterion.window": ONE},
            "model.",
            "criterion.window: of a loss, left out.",
        ),
        (
            {**MODEL, **{f"loss.vgg.{layer}.weight": ONE for layer in range(5)}},
            "",
            "loss.vgg.2.weight and 2 more: of a loss, left out.",
        ),
        ({**MODEL, "ema_dec_0_weight": np.ones(2)}, "", ""),
    ],
)
def test_the_models_own_weights_are_found(state, prefix, remarks):
    model, found, said = unwrapped(state, "file")
    assert found == prefix
    assert model.keys() == MODEL.keys()
    for key, value in MODEL.items():
        assert model[key] is value
    assert remarks in " ".join(said)
    assert bool(remarks) == bool(said)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({**under("model."), **under("teacher.")}, "several models, model. and teacher.: keep"),
        ({**MODEL, **under("module.")}, "holds enc.0.weight twice, once as module.enc.0.weight"),
        ({**under("model."), "disc.weight": ONE}, r"beside the model \(model\.\*\), .*disc.weight"),
        ({"_fsdp_wrapped_module._flat_param": ONE}, "FULL_STATE_DICT"),
        ({**MODEL, "dec.1.weight_orig": ONE}, "prune.remove"),
        ({**MODEL, "dec.1.weight_g": ONE}, "remove_weight_norm"),
        ({**MODEL, "dec.parametrizations.weight.original0": ONE}, "remove_parametrizations"),
        ({**MODEL, "dec.lora_A.weight": ONE}, "merging"),
    ],
)
def test_weights_that_cannot_be_told_apart_are_refused_with_what_to_do(state, message):
    with pytest.raises(ValueError, match=f"file.* {message}|file holds .*{message}"):
        unwrapped(state, "file")
