"""Files of the public PyTorch code: what they hold, what their keys and shapes tell.

What needs PyTorch itself is at the end, and skipped where it is not installed.
"""

import argparse
import os
import sys
import types

import numpy as np
import pytest
from golden_files import GOLDEN, load

from pdr_jax import torch_files
from pdr_jax.interop import clues, configurations, convert, entries, family, names, state_dicts
from pdr_jax.interop.family import family_of, model_type, naming

# What a file holds.

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
        (
            {"state_dict": prefixed("torch_nn_module."), "pytorch-lightning_version": "1.6"},
            "checkpoint of Lightning",
        ),
    ],
)
def test_the_models_own_names_are_found(contents, form):
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
        ({"net": LAYERS, "epoch": 3}, "found net, epoch"),
        (
            {"state_dict": LAYERS, "pytorch-lightning_version": "2"},
            r"arrays by name, of model\. or torch_nn_module\., found a\.weight, a\.bias",
        ),
    ],
)
def test_what_is_no_state_dict_is_refused(contents, message):
    with pytest.raises(ValueError, match=message):
        state_dicts.unpack(contents, "file")


@pytest.mark.parametrize(
    ("contents", "lightning"),
    [(LAYERS, False), (prefixed("module."), False), (prefixed("model."), True)],
)
def test_names_tell_what_lightning_wrote(contents, lightning):
    assert state_dicts.unpack(contents, "file").lightning == lightning
    assert state_dicts.unpack({"state_dict": contents}, "file").lightning == lightning


def test_settings_that_were_saved_beside_the_weights():
    saved = {"method": "PredFormer", "model_config": {"dim": 32}, "lr": None}
    found = state_dicts.unpack({"state_dict": LAYERS, "hyper_parameters": saved}, "file")
    assert found.config == {"method": "PredFormer", "dim": 32}


# Configurations.


def test_configurations_are_read_and_never_run(tmp_path):
    path = tmp_path / "SimVP.py"
    path.write_text(
        '"""What it is."""\nimport os\nmethod = "SimVP"\nhid_S = 64  # width\nlr = 5e-4\n'
        "drop = -1\nEMAHook = dict(momentum=0.9, steps=[1, 2])\nmodel_type = None\n"
        "in_planes = 4 * 3 + 1 + 4  # as DMVFN's\nhid_T = hid_S  # as PredNet's sizes\n"
    )
    assert configurations.read(path) == {
        "method": "SimVP",
        "hid_S": 64,
        "lr": 5e-4,
        "drop": -1,
        "EMAHook": {"momentum": 0.9, "steps": [1, 2]},
        "in_planes": 17,
        "hid_T": 64,
    }
    for line in (
        "hid_S = 2 ** 5",
        "hid_S = open('ran', 'w')",
        "hid_S = dict(open('ran', 'w'))",
        "hid_S = other",
        "hid_S = [8] * 2",
        "hid_S *= 2",
        "hid_S: int = 8",
        "hid_S, hid_T = 8, 64",
        "if True:\n    hid_S = 8",
        "open('ran', 'w')",
    ):
        path.write_text(f"method = 'SimVP'\n{line}\n")
        with pytest.raises(ValueError, match=r"line 2: .*write NAME = VALUE, the value itself"):
            configurations.read(path)
    assert os.listdir(tmp_path) == ["SimVP.py"]
    path.write_text("hid_S = \n")
    with pytest.raises(ValueError, match="is no Python"):
        configurations.read(path)


def test_configurations_in_json(tmp_path):
    path = tmp_path / "model_param.json"
    path.write_text('{"method": "PredFormer", "lr": null, "model_config": {"dim": 8}}')
    assert configurations.read(path) == {"method": "PredFormer", "dim": 8}
    path.write_text('{"method": ')
    with pytest.raises(ValueError, match=r"model_param\.json is no JSON: "):
        configurations.read(path)
    path.write_text("[1]")
    with pytest.raises(ValueError, match="no JSON object"):
        configurations.read(path)
    with pytest.raises(ValueError, match=r"ends in \.py or \.json"):
        configurations.read(path.rename(tmp_path / "model_param.yaml"))


@pytest.mark.parametrize("value", ["64,64", [64, 64], (64, 64)])
def test_lists_of_integers_in_the_forms_they_have(value):
    assert entries.integers({"num_hidden": value}, "num_hidden") == (64, 64)


def test_entries_that_are_no_integers_are_named():
    assert entries.integers({"num_hidden": 64}, "num_hidden") == (64,)
    for value in ("64,", 6.5, [64, None]):
        with pytest.raises(ValueError, match=r"num_hidden = .*expected integers"):
            entries.integers({"num_hidden": value}, "num_hidden")
    with pytest.raises(ValueError, match=r"in_shape = 10: expected \[T, C, H, W\]"):
        entries.in_shape({"in_shape": 10})


# Models.


def test_model_type_counts_for_the_methods_that_look_at_it_only():
    assert model_type({"method": "ConvLSTM", "model_type": "gSTA"}) == "convlstm"
    assert model_type({"method": "SimVP", "model_type": "IncepU"}) == "incepu"
    assert model_type({"method": "TAU"}) == "tau"
    assert model_type({}) == ""


@pytest.mark.parametrize("name", names())
def test_a_backbone_leads_back_to_its_family(name):
    kind = family(naming(name))
    assert family_of(kind.backbone) == (name, kind)
    assert model_type(naming(name)) == name


def test_a_backbone_of_ones_own_has_no_family():
    with pytest.raises(ValueError, match="backbone='mine'"):
        family_of("mine")


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


def test_what_weights_leave_open_is_missing():
    """PredFormer's layers may be residual, those of a variant without layers may not."""
    for name, open_ in (("triplet_tst", True), ("fullattention", False)):
        config, weights, _ = load(f"predformer_{name}")
        shapes = {key: value.shape for key, value in weights.items()}
        sizes = clues.sizes("predformer", shapes, config["num_channels"])
        assert ("residual" in clues.missing("predformer", sizes)) == open_
    assert clues.missing("dmvfn", {"num_features": [4, 4], "beta": 0.5}) == ("scale",)


@pytest.mark.parametrize("name", ["gsta", "convmixer", "incepu"])
def test_a_translator_as_wide_as_the_packed_frames_has_no_reductions(name):
    """Of 4 frames of 8 channels."""
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


def test_weights_that_only_resemble_a_model():
    shapes = {"hid.enc.0.block.attn.spatial_gating_unit.fc.0.weight": (4, 4)}
    assert clues.model_type(shapes) == "tau"
    assert clues.sizes("tau", shapes, 1) == {}
    assert clues.length("tau", shapes) is None


# With PyTorch.


def test_without_pytorch_it_is_said_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r"pip install 'pdr-jax\[openstl\]'"):
        state_dicts.read(tmp_path / "file.pth")
    with pytest.raises(ImportError, match=r"pip install 'pdr-jax\[openstl\]'"):
        torch_files.check_target(tmp_path / "file.pth")


def test_a_file_that_cannot_be_written_is_refused_before(tmp_path):
    (tmp_path / "there.npz").touch()
    for name, error, message in (
        ("x.json", ValueError, r"ends in \.pth, \.pt or \.npz"),
        ("there.npz", FileExistsError, "is there already"),
        ("nowhere/x.npz", FileNotFoundError, "nowhere is no folder"),
    ):
        with pytest.raises(error, match=message):
            torch_files.check_target(tmp_path / name)
    torch_files.check_target(tmp_path / "x.npz")


def test_nothing_half_written_stays(tmp_path, monkeypatch):
    def fail(path, **_):
        path.write_bytes(b"the first half")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(OSError, match="disk full"):
        torch_files.save(tmp_path / "x.npz", LAYERS)
    assert os.listdir(tmp_path) == []


def test_pytorch_whose_reader_was_not_safe_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(__version__="2.5.1"))
    with pytest.raises(ImportError, match=r"torch 2\.5\.1 is installed"):
        state_dicts.read(tmp_path / "file.pth")


@pytest.fixture
def torch():
    return pytest.importorskip(
        "torch", reason="PyTorch reads its files itself: the extra `openstl`, too large for CI"
    )


@pytest.fixture
def tensors(torch):
    return {key: torch.from_numpy(value) for key, value in LAYERS.items()}


@pytest.mark.parametrize("zipped", [True, False])
def test_files_as_openstl_writes_them(torch, tensors, tmp_path, zipped):
    state = {f"module.{key}": value for key, value in tensors.items()}
    state["module.a.bias"] = state["module.a.bias"].to(torch.bfloat16)
    training = {"epoch": 3, "optimizer": {"state": {0: {"step": 5}}}, "state_dict": state}
    for name, contents in (("checkpoint.pth", state), ("latest.pth", training)):
        path = tmp_path / name
        torch.save(contents, path, _use_new_zipfile_serialization=zipped)
        found = state_dicts.read(path)
        for key, value in LAYERS.items():
            np.testing.assert_array_equal(found.state_dict[key], value)


def test_files_as_lightning_writes_them(torch, tensors, tmp_path):
    settings = {"hid_S": 16, "in_shape": [4, 2, 8, 8], "test_std": np.ones(3), "lr": np.float32(1)}
    contents = {
        "state_dict": {f"model.{key}": value for key, value in tensors.items()},
        "pytorch-lightning_version": "2.6",
        "callbacks": {"dirpath": tmp_path},
    }
    for given in (settings, argparse.Namespace(**settings)):
        torch.save({**contents, "hyper_parameters": given}, tmp_path / "best.ckpt")
        found = state_dicts.read(tmp_path / "best.ckpt")
        assert found.state_dict.keys() == LAYERS.keys()
        assert found.config == {"hid_S": 16, "in_shape": [4, 2, 8, 8]}


def test_schedules_of_older_pytorch_are_read_as_nothing(torch, tensors, tmp_path):
    """Its one-cycle schedule kept a function, which a pickle names by getattr."""

    class Function:
        def __reduce__(self):
            return getattr, (torch.optim.lr_scheduler.OneCycleLR, "_annealing_cos")

    contents = {"state_dict": tensors, "scheduler": {"anneal_func": Function()}}
    torch.save(contents, tmp_path / "latest.pth")
    assert state_dicts.read(tmp_path / "latest.pth").state_dict.keys() == LAYERS.keys()


class Harmful:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_that_would_run_code_is_refused(torch, tensors, tmp_path, zipped):
    path, ran = tmp_path / "x.pth", tmp_path / "ran"
    contents = {"state_dict": tensors, "hyper_parameters": Harmful(ran)}
    torch.save(contents, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ValueError, match=r"x\.pth is refused: it names posix\.mkdir, code"):
        state_dicts.read(path)
    assert not ran.exists()


def test_other_classes_are_refused_by_name(torch, tensors, tmp_path):
    path = tmp_path / "x.pth"
    torch.save({"state_dict": tensors, "args": types.SimpleNamespace(a=1)}, path)
    with pytest.raises(ValueError, match=r"names types\.SimpleNamespace"):
        state_dicts.read(path)
    torch.save(torch.nn.Linear(2, 2), path)
    with pytest.raises(
        ValueError, match=r"names torch\.nn\.modules\.linear\.Linear.*loaded\.state_dict\(\)"
    ):
        state_dicts.read(path)
    path.write_bytes(b"no checkpoint")
    with pytest.raises(ValueError, match=r"x\.pth is no checkpoint"):
        state_dicts.read(path)
    with pytest.raises(FileNotFoundError):
        state_dicts.read(tmp_path / "y.pth")


def test_what_is_advised_for_a_refused_file_keeps_what_tells_the_release(torch, tensors, tmp_path):
    training = {
        "state_dict": {f"model.{key}": value for key, value in tensors.items()},
        "hyper_parameters": {"hid_S": 8},
        "pytorch-lightning_version": "2.6",
        "callbacks": types.SimpleNamespace(a=1),
    }
    torch.save(training, tmp_path / "best.ckpt")
    with pytest.raises(ValueError, match=r"of a training, torch\.save") as refusal:
        state_dicts.read(tmp_path / "best.ckpt")
    _, _, advice = str(refusal.value).partition("of a training, ")
    scope = {"torch": torch, "loaded": training}
    eval(advice.partition(", without")[0].replace("weights.pth", str(tmp_path / "x.pth")), scope)
    found = state_dicts.read(tmp_path / "x.pth")
    assert found.lightning
    assert found.config == {"hid_S": 8}


def test_what_is_written_is_what_pytorch_reads(torch, tmp_path):
    _, weights, _ = load("tau")
    torch_files.save(tmp_path / "back.pth", weights)
    assert os.listdir(tmp_path) == ["back.pth"]
    found = torch.load(tmp_path / "back.pth", weights_only=True)
    assert found.keys() == weights.keys()
    for key, value in weights.items():
        assert found[key].shape == value.shape
        np.testing.assert_array_equal(found[key].numpy(), value)
