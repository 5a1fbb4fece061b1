"""The state dict and the configuration are found in what the public PyTorch code saves."""

import numpy as np
import pytest

from pdr_jax.interop import state_dicts

LAYERS = {"a.weight": np.ones(2), "a.bias": np.zeros(2)}


def prefixed(prefix):
    return {prefix + key: value for key, value in LAYERS.items()}


@pytest.mark.parametrize(
    ("contents", "form"),
    [
        (LAYERS, "state dict"),
        (prefixed("module."), "state dict"),
        (prefixed("_orig_mod.module."), "state dict"),
        ({**LAYERS, "ema_a_weight": np.ones(2), "ema_a_bias": np.ones(2)}, "state dict"),
        ({"state_dict": LAYERS, "epoch": 7, "optimizer": {}}, "checkpoint of a training, epoch 7"),
        (
            {
                "state_dict": {**prefixed("model."), "loss.window": np.ones(3)},
                "pytorch-lightning_version": "2.6",
                "epoch": 3,
            },
            "checkpoint of Lightning, epoch 3",
        ),
        ({"net": LAYERS, "epoch": 7}, "checkpoint of a training, epoch 7"),
        (
            {"state_dict": prefixed("torch_nn_module."), "pytorch-lightning_version": "1.6"},
            "checkpoint of Lightning",
        ),
    ],
)
def test_keys_lose_wrappers_prefixes(contents, form):
    found = state_dicts.unpack(contents, "file")
    assert found.state_dict.keys() == LAYERS.keys()
    assert found.format == form
    assert found.config == {}


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ([1], "file holds a list"),
        ({}, "found nothing"),
        ({"state_dict": 3}, "holds a int as its state_dict"),
        ({"net": {"a": 3}, "epoch": 3}, "found net, epoch"),
        ({"net": LAYERS, "ema": LAYERS}, "several state dicts, net and ema: keep one"),
    ],
)
def test_contents_without_a_state_dict_are_refused(contents, message):
    with pytest.raises(ValueError, match=message):
        state_dicts.unpack(contents, "file")


@pytest.mark.parametrize(
    ("contents", "lightning"),
    [(LAYERS, False), (prefixed("module."), False), (prefixed("model."), True)],
)
def test_keys_alone_tell_whether_lightning_wrote_the_file(contents, lightning):
    assert state_dicts.unpack(contents, "file").lightning == lightning
    assert state_dicts.unpack({"state_dict": contents}, "file").lightning == lightning


def test_settings_saved_with_the_weights_are_returned():
    saved = {"method": "PredFormer", "model_config": {"dim": 32}, "lr": None}
    found = state_dicts.unpack({"state_dict": LAYERS, "hyper_parameters": saved}, "file")
    assert found.config == {"method": "PredFormer", "dim": 32}
    assert state_dicts.unpack({"state_dict": LAYERS, "hyper_parameters": [1]}, "file").config == {}


def test_an_npz_is_read_without_pytorch(tmp_path):
    np.savez(tmp_path / "x.npz", **prefixed("module."))
    assert state_dicts.read(tmp_path / "x.npz").state_dict.keys() == LAYERS.keys()


def test_a_file_without_checksums_is_read_with_a_remark(tmp_path):
    path = tmp_path / "x.safetensors"
    header = b'{"a.weight": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}'
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    found = state_dicts.read(path)
    assert found.remarks == ("x.safetensors has no checksums: a damaged number would not be seen.",)
    np.testing.assert_array_equal(found.state_dict["a.weight"], [0])
