"""PyTorch's files are read, written, and refused if reading them would run code.

Tests with the fixture `torch` need PyTorch: `make test-openstl` runs them, `make test` skips them.
"""

import argparse
import os
import sys
import types

import numpy as np
import pytest
from golden_files import load

from pdr_jax import torch_files
from pdr_jax.interop import state_dicts

LAYERS = {"a.weight": np.ones(2), "a.bias": np.zeros(2)}


def test_the_error_without_pytorch_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    for use in (torch_files.load, torch_files.check_target):
        with pytest.raises(ImportError, match=r"pip install 'pdr-jax\[openstl\]'"):
            use(tmp_path / "file.pth")


def test_pytorch_with_an_unsafe_reader_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(__version__="2.5.1"))
    with pytest.raises(ImportError, match=r"torch 2\.5\.1 is installed"):
        torch_files.load(tmp_path / "file.pth")


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("x.json", ValueError, r"ends in \.pth, \.pt or \.npz"),
        ("there.npz", FileExistsError, "is there already"),
        ("nowhere/x.npz", FileNotFoundError, "nowhere is no folder"),
    ],
)
def test_a_target_that_cannot_be_written_is_refused(name, error, message, tmp_path):
    (tmp_path / "there.npz").touch()
    with pytest.raises(error, match=message):
        torch_files.check_target(tmp_path / name)


def test_an_npz_is_written_and_read_without_pytorch(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    path = tmp_path / "x.npz"
    torch_files.check_target(path)
    torch_files.save(path, LAYERS)
    assert os.listdir(tmp_path) == ["x.npz"]
    found = torch_files.load(path)
    assert found.keys() == LAYERS.keys()
    for key, value in LAYERS.items():
        np.testing.assert_array_equal(found[key], value)


def test_a_failed_save_leaves_no_file(tmp_path, monkeypatch):
    def fail(path, **_):
        path.write_bytes(b"the first half")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(OSError, match="disk full"):
        torch_files.save(tmp_path / "x.npz", LAYERS)
    assert os.listdir(tmp_path) == []


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


@pytest.mark.parametrize("form", [dict, argparse.Namespace])
def test_files_as_lightning_writes_them(torch, tensors, tmp_path, form):
    settings = {"hid_S": 16, "in_shape": [4, 2, 8, 8], "test_std": np.ones(3), "lr": np.float32(1)}
    contents = {
        "state_dict": {f"model.{key}": value for key, value in tensors.items()},
        "pytorch-lightning_version": "2.6",
        "callbacks": {"dirpath": tmp_path},
        "hyper_parameters": form(**settings),
    }
    torch.save(contents, tmp_path / "best.ckpt")
    found = state_dicts.read(tmp_path / "best.ckpt")
    assert found.state_dict.keys() == LAYERS.keys()
    assert found.config == {"hid_S": 16, "in_shape": [4, 2, 8, 8]}


def test_one_cycle_schedules_of_older_pytorch_are_read_as_none(torch, tensors, tmp_path):
    """They keep a function, which a pickle names by getattr."""

    class Function:
        def __reduce__(self):
            return getattr, (torch.optim.lr_scheduler.OneCycleLR, "_annealing_cos")

    contents = {"state_dict": tensors, "scheduler": {"anneal_func": Function()}}
    torch.save(contents, tmp_path / "latest.pth")
    found = torch_files.load(tmp_path / "latest.pth")
    assert found["state_dict"].keys() == LAYERS.keys()
    assert found["scheduler"] == {"anneal_func": None}


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
        torch_files.load(path)
    assert not ran.exists()


def test_a_class_beside_the_weights_is_refused_by_name(torch, tensors, tmp_path):
    path = tmp_path / "x.pth"
    torch.save({"state_dict": tensors, "args": types.SimpleNamespace(a=1)}, path)
    with pytest.raises(ValueError, match=r"names types\.SimpleNamespace"):
        torch_files.load(path)


def test_a_whole_model_is_refused_by_name(torch, tmp_path):
    path = tmp_path / "x.pth"
    torch.save(torch.nn.Linear(2, 2), path)
    with pytest.raises(
        ValueError, match=r"names torch\.nn\.modules\.linear\.Linear.*loaded\.state_dict\(\)"
    ):
        torch_files.load(path)


def test_broken_and_missing_files_are_refused(torch, tmp_path):
    path = tmp_path / "x.pth"
    path.write_bytes(b"no checkpoint")
    with pytest.raises(ValueError, match=r"x\.pth is no checkpoint"):
        torch_files.load(path)
    with pytest.raises(FileNotFoundError):
        torch_files.load(tmp_path / "y.pth")


def test_the_advice_for_a_refused_file_keeps_what_an_import_needs(torch, tensors, tmp_path):
    training = {
        "state_dict": {f"model.{key}": value for key, value in tensors.items()},
        "hyper_parameters": {"hid_S": 8},
        "pytorch-lightning_version": "2.6",
        "callbacks": types.SimpleNamespace(a=1),
    }
    torch.save(training, tmp_path / "best.ckpt")
    with pytest.raises(ValueError, match=r"of a training, torch\.save") as refusal:
        torch_files.load(tmp_path / "best.ckpt")
    _, _, advice = str(refusal.value).partition("of a training, ")
    scope = {"torch": torch, "loaded": training}
    eval(advice.partition(", without")[0].replace("weights.pth", str(tmp_path / "x.pth")), scope)
    found = state_dicts.read(tmp_path / "x.pth")
    assert found.lightning
    assert found.config == {"hid_S": 8}


def test_pytorch_reads_what_is_written(torch, tmp_path):
    _, weights, _ = load("tau")
    torch_files.save(tmp_path / "back.pth", weights)
    assert os.listdir(tmp_path) == ["back.pth"]
    found = torch.load(tmp_path / "back.pth", weights_only=True)
    assert found.keys() == weights.keys()
    for key, value in weights.items():
        assert found[key].shape == value.shape
        np.testing.assert_array_equal(found[key].numpy(), value)
