"""Imports of checkpoints of the public PyTorch code, and what can be done with the run folders."""

import contextlib
import dataclasses
import io
import json
import os
import re

import jax
import numpy as np
import pytest
from golden_files import channels_last, load, relative_error
from imported_runs import ARRAYS, assert_close, fail, fill, pdr, refused

from pdr_jax.commands import train
from pdr_jax.files import write_json
from pdr_jax.interop import from_openstl, state_dicts
from pdr_jax.runs.checkpoints import Checkpoints
from pdr_jax.runs.folder import read_data, read_recipe, recorded_dataset
from pdr_jax.runs.warm_start import read_origin


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """A folder in which weights were imported as runs/theirs, and what was printed."""
    place = fill(tmp_path_factory.mktemp("imported"))
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.chdir(place)
        pdr(f"import-openstl theirs.npz --out runs/theirs {ARRAYS}")
    return place, printed.getvalue()


def test_an_import_says_which_value_came_from_where(imported):
    _, printed = imported
    assert '"model_type": "convmixer"' in printed
    assert re.search(r"from the weights: .*hid_S = 8.* T = 4$", printed, re.MULTILINE)
    assert re.search(r"given: out_length = 4$", printed, re.MULTILINE)
    assert "assumed from arrays: H = " in printed
    assert re.search("by default: .*drop_path = ", printed)
    assert "note: " not in printed


def test_the_recipe_is_that_of_the_weights(imported):
    place, _ = imported
    config, _, _ = load("simvp_convmixer")
    assert os.listdir(place / "runs") == ["theirs"]
    recipe = read_recipe(place / "runs/theirs")
    assert (recipe.adapter, recipe.protocol, recipe.backbone) == (
        "none",
        "openstl",
        "simvp_convmixer",
    )
    sizes = ("hid_S", "hid_T", "N_S", "N_T")
    assert [recipe.backbone_options[size] for size in sizes] == [config[size] for size in sizes]


def test_an_imported_run_predicts_what_was_recorded(imported, monkeypatch):
    monkeypatch.chdir(imported[0])
    with jax.default_matmul_precision("highest"):
        pdr("predict runs/theirs seen.npy future.npy")
    _, _, arrays = load("simvp_convmixer")
    assert relative_error(np.load("future.npy"), channels_last(arrays["output"])) < 1e-5


def test_an_imported_run_is_scored(imported, monkeypatch, capsys):
    place, _ = imported
    monkeypatch.chdir(place)
    pdr("eval runs/theirs --no-controls --batch-size 2")
    printed = " ".join(capsys.readouterr().out.split())
    assert "best by whoever trained it; imported from theirs.npz, not trained here" in printed
    figures = json.loads((place / "runs/theirs/eval-test-openstl-4.json").read_text())
    assert figures["rows"]["simvp_convmixer"]["mse"] < 1e-6  # the clips go on as it predicts


def test_units_that_an_array_sets_itself_are_noted(place, capsys):
    pdr(f"import-openstl theirs.npz --out fitted {ARRAYS.replace('scaling (0,1) ', '')}")
    assert "note: The array's own values set its units" in capsys.readouterr().out


def test_weights_that_lightning_did_not_write_get_the_model_zoos_cells(place):
    np.savez("recurrent.npz", **load("convlstm")[1])
    command = f"import-openstl recurrent.npz {ARRAYS} --in-length 4 --out"
    pdr(f"{command} runs/zoo")
    assert read_recipe(place / "runs/zoo").backbone_options["release"] == "v0.3"
    pdr(f"{command} runs/new --settings release v1.0")
    assert read_recipe(place / "runs/new").backbone_options["release"] == "v1.0"
    # The prefix "model." shows that Lightning wrote the weights.
    np.savez("recurrent.npz", **{f"model.{k}": v for k, v in load("convlstm")[1].items()})
    pdr(f"{command} runs/lightning")
    assert read_recipe(place / "runs/lightning").backbone_options["release"] == "v1.0"


@pytest.mark.rest
def test_an_imported_run_is_resumed_and_keeps_what_was_imported(place, monkeypatch, capsys):
    monkeypatch.setattr(train, "finish", lambda _: None)
    pdr(f"import-openstl theirs.npz --out theirs {ARRAYS}")
    before = read_origin(place / "theirs").variables["params"]
    assert read_data(place / "theirs")["training_clips"] == 0
    recipe = read_recipe(place / "theirs")
    short = dataclasses.replace(
        recipe, steps=3, save_every=1, batch_size=2, devices=1, learning_rate=1e-9
    )
    write_json(place / "theirs/recipe.json", short.to_json())
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", fail)
        assert "disk full" in refused("train --resume theirs", capsys)
    # data.json describes the import only, until a checkpoint has been trained.
    assert read_data(place / "theirs")["training_clips"] == 0
    pdr("train --resume theirs")
    assert (
        "continues from imported weights: 3 steps of the recipe's schedule"
        in capsys.readouterr().out
    )
    described = read_data(place / "theirs")
    assert described["imported"]["file"] == "theirs.npz"
    assert described["training_clips"] > 0
    assert described["chosen_on"] == "the TEST split, as OpenSTL does"
    steps = {int(path.name) for path in (place / "theirs/checkpoints").glob("[0-9]*")}
    assert {0, 2, 3} <= steps
    with Checkpoints(place / "theirs/checkpoints") as saved:
        assert saved.last == 3
        assert saved.best > 0  # what was imported was never measured
    assert_close(read_origin(place / "theirs").variables["params"], before)
    pdr("train --resume theirs")
    assert "continues from imported" not in capsys.readouterr().out


def test_frames_of_an_unprepared_data_set_are_predicted(place, capsys):
    """The units of TaxiBJ are known without its files: stored -1..1."""
    pdr("import-openstl theirs.npz --out theirs --dataset taxibj --settings hid_S 8")
    assert "taxibj was not prepared when" in read_data(place / "theirs")["note"]
    assert recorded_dataset(place / "theirs").frame_shape == (32, 32, 2)
    frames = np.zeros((4, 32, 32, 2), np.float32)
    np.save("seen.npy", frames)
    pdr("predict theirs seen.npy future.npy")
    assert np.load("future.npy").shape == frames.shape
    command = "predict theirs seen.npy x.npy --horizon 0"
    assert "horizon=0: expected 1 or more (option --horizon)" in refused(command, capsys)


def test_weights_that_are_not_finite_are_refused(place, capsys):
    weights = load("simvp_convmixer")[1]
    key = next(key for key in weights if key.endswith("running_mean"))
    np.savez("x.npz", **{**weights, key: weights[key] * np.nan})
    message = refused(f"import-openstl x.npz --out x {ARRAYS}", capsys)
    assert f"{key} is NaN or infinite in" in message
    assert not (place / "x").exists()


def test_what_was_left_out_of_a_checkpoint_is_noted(place, capsys):
    weights = {f"_orig_mod.{key}": value for key, value in load("simvp_convmixer")[1].items()}
    np.savez("x.npz", **weights, n_averaged=np.array(3))
    pdr(f"import-openstl x.npz --out x {ARRAYS}")
    assert "note: n_averaged (models that were averaged) is left out." in capsys.readouterr().out
    assert read_data(place / "x")["note"].startswith("n_averaged")
    assert_close(
        read_origin(place / "x").variables["params"]["backbone"],
        from_openstl(*load("simvp_convmixer")[:2])[1]["params"],
    )


def test_a_folder_that_cannot_be_made_is_refused_before_any_work(place, monkeypatch, capsys):
    monkeypatch.setattr(state_dicts, "read", fail)
    for out, message in (
        ("theirs.npz", "out='theirs.npz': a file"),
        ("theirs.npz/x", "out='theirs.npz/x': no folder can be made in"),
        (".", "holds something already"),
        ("x[1]", "has '[' in it"),
        ("gs://bucket/x", "gs:/bucket/x: expected a folder of a file system"),
    ):
        assert message in refused(f"import-openstl theirs.npz --out {out} {ARRAYS}", capsys)


def test_an_import_that_fails_leaves_nothing(place, monkeypatch, capsys):
    monkeypatch.setattr(Checkpoints, "save", fail)
    before = sorted(os.listdir())
    assert "disk full" in refused(f"import-openstl theirs.npz --out theirs {ARRAYS}", capsys)
    assert sorted(os.listdir()) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--out data.d " + ARRAYS, "data.d holds something already"),
        ("--out x", "dataset is missing: the checkpoint does not say which data it is for"),
        ("--out x --dataset kht", "did you mean 'kth'"),
        ("--out x --dataset arrays", "data_options.path is missing"),
        ("--out x --dataset weatherbench", "is not prepared"),
        ("--out x --dataset kth --data-options size 64", "is not prepared"),
        ("--out x --dataset kth", "misshapen: dec.readout.bias"),
        ("--out x --dataset kth", "C = 1 is asked for, 2 in the weights"),
        ("--out x --settings in_shape [4,2,8,8] " + ARRAYS, "frames (H, W, C) = (8, 8, 2)"),
        (
            "--out x --settings model_type gSTA " + ARRAYS,
            "of 'gsta', the weights are of 'convmixer'",
        ),
        (
            "--out x --settings hid_T 32 " + ARRAYS,
            "hid_T = 32 is asked for, 64 in the weights",
        ),
        (
            "--out x --settings hid_s 32 " + ARRAYS,
            "settings.hid_s (did you mean 'hid_S'?): convmixer has no such setting",
        ),
        ("--out x --settings pre_seq_length 5 " + ARRAYS, "pre_seq_length = 5 is given, but T = 4"),
        ("--out x --settings in_shape 10 " + ARRAYS, "in_shape = 10: expected [T, C, H, W]"),
        (
            "--out x --settings aft_seq_length 5 " + ARRAYS,
            "aft_seq_length = 5 is given, but out_length = 4",
        ),
        ("--out x --settings height 32 " + ARRAYS, "convmixer has no such setting"),
        ("--out x --config no.json " + ARRAYS, "no.json"),
        ("--out x --settings N_T 1000000000 " + ARRAYS, "N_T asks for 1000000000 layers"),
        ("--out x --settings aft_seq_length y --dataset kth", "aft_seq_length = 'y': expected"),
    ],
)
def test_imports_that_do_not_fit_are_refused(options, message, place, capsys):
    (place / "data.d").mkdir()
    (place / "data.d/file").touch()
    assert message in refused(f"import-openstl theirs.npz {options}", capsys)
    assert not (place / "x").exists()


def test_given_lengths_override_those_of_a_configuration(place, capsys):
    (place / "theirs.json").write_text('{"pre_seq_length": 4, "aft_seq_length": 9}')
    command = f"import-openstl theirs.npz --config theirs.json {ARRAYS} --out"
    pdr(f"{command} x")
    assert read_recipe(place / "x").out_length == 4
    (place / "theirs.json").write_text('{"pre_seq_length": 5}')
    assert "pre_seq_length = 5 is given, but T = 4" in refused(f"{command} y", capsys)


def test_settings_that_weights_do_not_determine_are_asked_for(place, capsys):
    np.savez("x.npz", **load("mau")[1])
    command = f"import-openstl x.npz --out x --in-length 4 {ARRAYS}"
    assert "do not tell its tau, cell_mode, model_mode; expected" in refused(command, capsys)
    np.savez("x.npz", **load("phydnet")[1])
    assert "do not tell its patch_size; expected" in refused(command, capsys)
    np.savez("x.npz", **load("wast")[1])
    assert "do not tell its block_list, drop_path" in refused(command, capsys)
    np.savez("x.npz", **load("dmvfn")[1])
    assert "do not tell its scale; expected" in refused(f"{command} --settings beta 0.5", capsys)
    np.savez("x.npz", head=np.ones(3))
    assert "weights such as head are of no known model" in refused(command, capsys)
    (place / "x.npz").write_text("no archive")
    assert "is no checkpoint" in refused(command, capsys)
