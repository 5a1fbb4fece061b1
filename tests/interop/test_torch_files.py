"""PyTorch's files are read, written, and refused if reading them would run code.

Tests with the fixture `torch` need PyTorch: `make test-openstl` runs them, `make test` skips them.
"""

import argparse
import io
import os
import sys
import types
import zipfile

import jax.numpy as jnp
import numpy as np
import pytest
from golden_files import load

from pdr_jax import torch_files, zip_files
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


def check_damage(path):
    """Flips a bit of each byte of a file of `LAYERS`: it is refused, or the arrays are the same."""
    content, refused = path.read_bytes(), 0
    for byte in range(len(content)):
        changed = bytearray(content)
        changed[byte] ^= 1 << byte % 8
        path.write_bytes(changed)
        try:
            found = torch_files.load(path)
        except ValueError as error:
            refused += str(error).startswith(f"{path} is no checkpoint, or a broken one: ")
            continue
        assert found.keys() == LAYERS.keys(), byte
        for key, value in LAYERS.items():
            np.testing.assert_array_equal(found[key], value, err_msg=str(byte))
    assert refused > 150


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_a_flipped_bit_is_refused_or_changes_nothing(write, tmp_path):
    path = tmp_path / "x.npz"
    write(path, **LAYERS)
    check_damage(path)


def npy(shape, dtype="<f4", content=b""):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"shape": shape, "fortran_order": False, "descr": dtype}
    )
    return file.getvalue() + content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (npy((10**12,)), r"0 bytes for an array of float32 \(1000000000000,\)"),
        (npy((-1, -2), content=bytes(8)), r"8 bytes for an array of float32 \(-1, -2\)"),
        (npy((0, 10**30)), "aximum|OverflowError"),
        (npy((1,), content=bytes(5)), "5 bytes for"),
        (npy((1,), "|O", bytes(8)), "Python objects, which are not read"),
        (b"no array", "magic string"),
        (b"", "magic string"),
    ],
)
def test_entries_that_are_not_what_they_claim_are_refused_by_name(content, message, tmp_path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("a.npy", content)
    with pytest.raises(ValueError, match=rf"x\.npz is no.*: entry 'a\.npy': .*({message})"):
        torch_files.load(tmp_path / "x.npz")


def test_what_a_file_may_expand_to_is_limited(tmp_path, monkeypatch):
    path = tmp_path / "x.npz"
    np.savez_compressed(path, a=np.zeros(100_000))
    assert torch_files.load(path)["a"].sum() == 0
    monkeypatch.setattr(zip_files, "ROOM", 100)
    with pytest.raises(ValueError, match=r"x\.npz .*claim to hold 800128; .*at most 10 times"):
        torch_files.load(path)


def test_other_compression_and_names_twice_are_refused(tmp_path):
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a.npy", npy((1,), content=bytes(4)))
    with pytest.raises(ValueError, match=r"entry 'a\.npy': it is compressed as neither"):
        torch_files.load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", npy((1,), content=bytes(4)))
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.npy", npy((1,), content=bytes(4)))
    with pytest.raises(ValueError, match="two entries have the same name"):
        torch_files.load(path)


def test_bfloat16_is_read_from_an_npz(tmp_path):
    values = jnp.array([[1.5, -2, 3e38]], jnp.bfloat16)
    np.savez(tmp_path / "x.npz", a=values, b=np.asfortranarray(np.arange(6.0).reshape(2, 3)))
    found = torch_files.load(tmp_path / "x.npz")
    assert found["a"].dtype == np.float32
    np.testing.assert_array_equal(found["a"], np.float32(values))
    np.testing.assert_array_equal(found["b"], [[0, 1, 2], [3, 4, 5]])


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


def test_a_flipped_bit_of_a_pytorch_file_is_refused_or_changes_nothing(torch, tensors, tmp_path):
    path = tmp_path / "x.pth"
    torch.save(tensors, path)
    check_damage(path)


def test_views_that_repeat_a_few_bytes_are_refused(torch, tmp_path):
    path = tmp_path / "x.pth"
    torch.save({"a": torch.zeros(1).expand(1000)}, path)
    assert torch_files.load(path)["a"].shape == (1000,)
    torch.save({"a": torch.zeros(1).expand(10**12)}, path)
    with pytest.raises(ValueError, match=r"x\.pth .*bytes claim to hold 4000000000000; expected"):
        torch_files.load(path)


def test_lists_that_repeat_lists_are_refused(torch, tmp_path, monkeypatch):
    monkeypatch.setattr(torch_files, "MOST_ENTRIES", 10_000)
    path, endless = tmp_path / "x.pth", [1]
    for _ in range(40):
        endless = [endless, endless]
    torch.save({"a": endless}, path)
    with pytest.raises(ValueError, match=r"x\.pth .*more than 10000 entries"):
        torch_files.load(path)
    endless.append(endless)
    torch.save({"a": endless}, path)
    with pytest.raises(ValueError, match=r"x\.pth .*(RecursionError|entries)"):
        torch_files.load(path)


def test_a_file_saved_without_checksums_is_refused(torch, tensors, tmp_path):
    torch.serialization.set_crc32_options(False)
    torch.save(tensors, tmp_path / "x.pth")
    torch.serialization.set_crc32_options(True)
    with pytest.raises(ValueError, match=r"save the file again without set_crc32_options\(False\)"):
        torch_files.load(tmp_path / "x.pth")


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
