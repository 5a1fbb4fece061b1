"""Run folders from checkpoints of the public PyTorch code, what they are good for, and back.

The state dict comes as an .npz, which needs no PyTorch; PyTorch's files are in tests/interop.
"""

import dataclasses
import json
import os
import re
import types

import jax
import numpy as np
import pytest
from golden_files import channels_last, load, relative_error

from pdr_jax import cli, predict, recipes, run, run_folder, scoreboard, warm_start
from pdr_jax.checkpoint import Checkpoints
from pdr_jax.interop import configurations, convert, exports, imports, settings
from pdr_jax.interop.family import family, naming
from pdr_jax.train import ClipSpec


@pytest.fixture(scope="module")
def golden():
    """A model's configuration, state dict, and recorded clip and prediction (channels last).

    ConvMixer: it compiles fastest.
    """
    config, weights, arrays = load("simvp_convmixer")
    return config, weights, channels_last(arrays["input"]), channels_last(arrays["output"])


@pytest.fixture
def place(tmp_path, monkeypatch, golden):
    """A folder with clips.npy, and the weights in theirs.npz; commands run in it."""
    _, weights, clip, prediction = golden
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PDR_DATA_DIR", str(tmp_path / "data"))
    both = np.concatenate([clip, prediction], axis=1).astype(np.float32)
    np.save("clips.npy", np.tile(both, (4, 1, 1, 1, 1)))
    np.save("seen.npy", clip.astype(np.float32))
    np.savez("theirs.npz", **weights)
    return tmp_path


ARRAYS = "--dataset arrays --data-options path clips.npy scaling (0,1) --out-length 4"
TRAIN = "--steps 1 --batch-size 2 --devices 1 --learning-rate 1e-9 --schedule constant"
SMALL = "--predgs.num-gaussians 16 --predgs.window 7 --predgs.pool 4 --predgs.hidden 8"


def pdr(command):
    cli.main(command.split())


def refused(command, capsys):
    with pytest.raises(SystemExit) as exit_:
        pdr(command)
    assert exit_.value.code == 2
    return capsys.readouterr().err


def fail(*_, **__):
    raise OSError("disk full")


def test_units_that_an_array_sets_itself_are_noted(place, capsys):
    pdr(f"import-openstl theirs.npz --out fitted {ARRAYS.replace('scaling (0,1) ', '')}")
    assert "note: The array's own values set its units" in capsys.readouterr().out


def test_an_imported_run_predicts_is_scored_and_trained_on(place, golden, monkeypatch, capsys):
    monkeypatch.setattr(cli, "finish", lambda _: None)  # figures and pictures: test_run.py
    config, _, _, expected = golden
    pdr(f"import-openstl theirs.npz --out runs/theirs {ARRAYS}")
    printed = capsys.readouterr().out
    assert '"model_type": "convmixer"' in printed
    assert re.search(r"from the weights: .*hid_S = 8.* T = 4$", printed, re.MULTILINE)
    assert re.search(r"given: out_length = 4$", printed, re.MULTILINE)
    assert "assumed from arrays: H = " in printed
    assert "note: " not in printed
    assert re.search("by default: .*drop_path = ", printed)
    assert os.listdir("runs") == ["theirs"]
    recipe = run.read_recipe(place / "runs/theirs")
    assert (recipe.adapter, recipe.protocol, recipe.backbone) == (
        "none",
        "openstl",
        "simvp_convmixer",
    )
    sizes = ("hid_S", "hid_T", "N_S", "N_T")
    assert [recipe.backbone_options[size] for size in sizes] == [config[size] for size in sizes]

    with jax.default_matmul_precision("highest"):
        pdr("predict runs/theirs seen.npy future.npy")
    assert relative_error(np.load("future.npy"), expected) < 1e-5

    pdr("eval runs/theirs --no-controls --batch-size 2")
    printed = " ".join(capsys.readouterr().out.split())
    assert "best by whoever trained it; imported from theirs.npz, not trained here" in printed
    figures = json.loads((place / "runs/theirs/eval-test-openstl-4.json").read_text())
    assert figures["rows"]["simvp_convmixer"]["mse"] < 1e-6  # the clips go on as it predicts

    # PDR behind it: the backbone starts as imported, the adapter afresh.
    # Its clips are those the weights were trained on, or it is noted.
    assert cli._named_recipe(["--init-from", "runs/theirs"]).protocol == "openstl"
    assert cli._named_recipe(["--init_from=runs/theirs"]).protocol == "openstl"
    command = "train --protocol standard --init-from runs/theirs --adapter robust --out runs/ours"
    pdr(f"{command} {TRAIN} {SMALL}")
    noted = "'openstl' meet 'standard': held-out clips were trained on"
    assert f"note: Parameters trained under protocol {noted}" in capsys.readouterr().out
    ours, theirs = (warm_start.read(place / "runs" / name) for name in ("ours", "theirs"))
    assert (ours.recipe.dataset, ours.recipe.adapter) == ("arrays", "robust")
    assert (ours.recipe.protocol, ours.recipe.out_length) == ("standard", 4)
    assert ours.recipe.backbone_options == theirs.recipe.backbone_options
    assert_close(ours.variables["params"]["backbone"], theirs.variables["params"]["backbone"])
    assert ours.step == 1
    capsys.readouterr()
    assert "Give --protocol openstl" in refused("eval runs/theirs runs/ours", capsys)
    lineage = run_folder.read_data(place / "runs/ours")["init_from"]
    assert (lineage["parts"], lineage["step"]) == (["backbone"], 0)
    assert lineage["protocol"] == "openstl"
    assert lineage["data"]["imported"]["file"] == "theirs.npz"

    # A run that started from that one in turn would take all three parts.
    _, task, state = run.load(place / "runs/ours")
    figures = scoreboard.describe(
        place / "runs/ours", task, ours.recipe, split="test", checkpoint="best"
    )
    assert noted in figures["note"]
    blank = jax.tree.map(np.zeros_like, state)
    parts = ours.parts(ours.recipe, blank)
    assert set(parts) == {"backbone", "adapter", "fuse_conv"}
    placed = jax.tree.map(jax.device_put, blank)
    assert_close(ours.into(placed, parts).params, state.params)
    assert_close(ours.into(placed, parts).batch_stats, state.batch_stats)


def assert_close(ours, theirs):
    for here, there in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(here, there, atol=1e-6)


def test_weights_that_lightning_did_not_write_get_the_model_zoos_cells(place):
    np.savez("recurrent.npz", **load("convlstm")[1])
    command = f"import-openstl recurrent.npz {ARRAYS} --in-length 4 --out"
    pdr(f"{command} runs/zoo")
    assert run.read_recipe(place / "runs/zoo").backbone_options["release"] == "v0.3"
    pdr(f"{command} runs/new --settings release v1.0")
    assert run.read_recipe(place / "runs/new").backbone_options["release"] == "v1.0"
    # Only Lightning's module has the model under a name.
    np.savez("recurrent.npz", **{f"model.{k}": v for k, v in load("convlstm")[1].items()})
    pdr(f"{command} runs/lightning")
    assert run.read_recipe(place / "runs/lightning").backbone_options["release"] == "v1.0"


def test_an_imported_run_is_resumed_and_keeps_what_was_imported(place, monkeypatch, capsys):
    monkeypatch.setattr(cli, "finish", lambda _: None)
    pdr(f"import-openstl theirs.npz --out theirs {ARRAYS}")
    before = warm_start.read(place / "theirs").variables["params"]
    assert run_folder.read_data(place / "theirs")["training_clips"] == 0
    recipe = run.read_recipe(place / "theirs")
    short = dataclasses.replace(
        recipe, steps=3, save_every=1, batch_size=2, devices=1, learning_rate=1e-9
    )
    run.write_json(place / "theirs/recipe.json", short.to_json())
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", fail)
        assert "disk full" in refused("train --resume theirs", capsys)
    # Until something else is saved, the folder describes what it has.
    assert run_folder.read_data(place / "theirs")["training_clips"] == 0
    pdr("train --resume theirs")
    assert (
        "continues from imported weights: 3 steps of the recipe's schedule"
        in capsys.readouterr().out
    )
    described = run_folder.read_data(place / "theirs")
    assert described["imported"]["file"] == "theirs.npz"
    assert described["training_clips"] > 0
    assert described["chosen_on"] == "the TEST split, as OpenSTL does"
    steps = {int(path.name) for path in (place / "theirs/checkpoints").glob("[0-9]*")}
    assert {0, 2, 3} <= steps
    with Checkpoints(place / "theirs/checkpoints") as saved:
        assert saved.last == 3
        assert saved.best > 0  # what was imported was never measured
    assert_close(warm_start.read(place / "theirs").variables["params"], before)
    pdr("train --resume theirs")
    assert "continues from imported" not in capsys.readouterr().out


def test_pictures_need_no_preparation_to_be_predicted(place, capsys):
    """Of data sets with known units: here TaxiBJ's, [-1, 1] to [0, 1]."""
    pdr("import-openstl theirs.npz --out theirs --dataset taxibj --settings hid_S 8")
    assert "was not there" in run_folder.read_data(place / "theirs")["note"]
    assert run_folder.recorded_dataset(place / "theirs").frame_shape == (32, 32, 2)
    frames = np.zeros((4, 32, 32, 2), np.float32)
    np.save("seen.npy", frames)
    pdr("predict theirs seen.npy future.npy")
    assert np.load("future.npy").shape == frames.shape
    assert "must be at least 1" in refused("predict theirs seen.npy x.npy --horizon 0", capsys)


def test_what_is_remarked_of_frames(place):
    clip = ClipSpec(2, 2, 0.0, 255.0)
    data = types.SimpleNamespace(offset=0.0, scale=255.0, data_range=(0.0, 1.0))
    task = types.SimpleNamespace(clip=clip, dataset=data)
    frames = np.full((5, 8, 8, 1), 0.5)
    units, warning, used = predict.remarks(task, frames)
    assert units == "frames are taken to be in stored units, 0..255"
    assert "multiply it by 255" in warning
    assert used == "of 5 frames a clip, the last 2 are used"
    assert predict.remarks(task, frames[:2] * 255) == [units]
    assert predict.remarks(task, (frames[:2] * 2).astype(np.uint8)) == [units]
    data.scale = 1.0
    assert predict.remarks(task, frames[:2]) == ["frames are taken to be in stored units, 0..1"]


def test_nothing_half_written_stays(place, monkeypatch, capsys):
    monkeypatch.setattr(Checkpoints, "save", fail)
    before = sorted(os.listdir())
    assert "disk full" in refused(f"import-openstl theirs.npz --out theirs {ARRAYS}", capsys)
    assert sorted(os.listdir()) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--out data.d " + ARRAYS, "data.d holds something already"),
        ("--out x", "(dataname=None): give --dataset"),
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
    ],
)
def test_imports_that_do_not_fit_are_refused(options, message, place, capsys):
    (place / "data.d").mkdir()
    (place / "data.d/file").touch()
    assert message in refused(f"import-openstl theirs.npz {options}", capsys)
    assert not (place / "x").exists()


def test_a_configuration_may_be_for_other_lengths_where_these_are_given(place, capsys):
    (place / "theirs.json").write_text('{"pre_seq_length": 4, "aft_seq_length": 9}')
    command = f"import-openstl theirs.npz --config theirs.json {ARRAYS} --out"
    pdr(f"{command} x")
    assert run.read_recipe(place / "x").out_length == 4
    (place / "theirs.json").write_text('{"pre_seq_length": 5}')
    assert "pre_seq_length = 5 is given, but T = 4" in refused(f"{command} y", capsys)


def test_a_setting_in_whose_place_another_is_used_is_refused():
    """As the public PhyDNet does with a patch_size that it does not know."""
    with pytest.raises(ValueError, match="patch_size = 3 is given, but patch_size = 4 is what is"):
        settings.check_used({"patch_size": 4}, settings={"patch_size": 3}, config={}, flags={})
    agreeing = {"layer_norm": 1, "num_hidden": "8,8", "in_shape": [4, 1, 8, 8]}
    values = {"layer_norm": True, "num_hidden": (8, 8), "T": 4, "C": 1, "H": 8, "W": 8}
    settings.check_used(values, settings=agreeing, config={}, flags={})


def test_models_without_the_entry_in_shape_have_their_own():
    kind = family({"method": "predformer"})
    settings.check_settings("predformer", kind, {"height": 32, "num_channels": 1}, {})
    with pytest.raises(ValueError, match=r"settings\.height: convlstm has no such setting"):
        settings.check_settings("convlstm", family({"method": "convlstm"}), {"height": 32}, {})


def test_what_weights_do_not_tell_is_asked_for(place, capsys):
    np.savez("x.npz", **load("mau")[1])
    command = f"import-openstl x.npz --out x --in-length 4 {ARRAYS}"
    assert "do not tell its tau, cell_mode, model_mode: give" in refused(command, capsys)
    np.savez("x.npz", **load("phydnet")[1])
    assert "do not tell its patch_size: give" in refused(command, capsys)
    np.savez("x.npz", **load("wast")[1])
    assert "do not tell its block_list, drop_path" in refused(command, capsys)
    np.savez("x.npz", **load("dmvfn")[1])
    assert "do not tell its scale: give" in refused(f"{command} --settings beta 0.5", capsys)
    np.savez("x.npz", head=np.ones(3))
    assert "weights such as head are of no known model" in refused(command, capsys)
    (place / "x.npz").write_text("no archive")
    assert "is no checkpoint" in refused(command, capsys)


def test_starts_that_do_not_fit_are_refused(place, capsys):
    pdr(f"import-openstl theirs.npz --out theirs {ARRAYS}")
    capsys.readouterr()
    for command, message in (
        ("train arrays --init-from nowhere", "nowhere is no run folder"),
        ("train --init-from theirs --backbone simvp_gsta", "leave out --backbone"),
        (
            f"train --init-from theirs --adapter none {TRAIN} --backbone-options.hid-S 4",
            "backbone_options.hid_S=4, there 8: weights of theirs do not fit",
        ),
        (
            f"train --init-from theirs --adapter none {TRAIN} --in-length 2",
            "in_length=2, there 4: weights of theirs do not fit",
        ),
    ):
        assert message in refused(command, capsys), command
    changed = "train --init-from theirs --adapter none --out theirs --steps 7 --batch-size 2"
    message = refused(changed, capsys)
    assert "theirs holds a run already, and another one" in message
    assert "steps=7, there 0; " in message
    assert "choose another folder with --out FOLDER" in message
    assert not (place / "runs").exists() or not list((place / "runs").glob("*/recipe.json"))
    other = recipes.create("arrays", backbone="simvp_gsta", adapter="none")
    with pytest.raises(ValueError, match=r"backbone='simvp_gsta': .* has 'simvp_convmixer'"):
        warm_start.read(place / "theirs").parts(other, None)


def test_where_a_run_that_starts_from_another_goes():
    plain = recipes.create("kth", protocol="openstl")
    started = dataclasses.replace(plain, init_from="runs/theirs", seed=3)
    assert cli.default_folder(plain).name == "kth-tau-predgs-l1_ssim-openstl-seed0"
    assert cli.default_folder(started).name == "kth-tau-predgs-l1_ssim-openstl-from-theirs-seed3"


# And back.


def test_export_is_the_inverse_of_import(place, golden, capsys):
    config, weights, _, _ = golden
    pdr(f"import-openstl theirs.npz --out theirs {ARRAYS}")
    pdr("export-openstl theirs --out back.npz")
    with np.load("back.npz") as back:
        assert set(back.files) == set(weights)
        for key, value in weights.items():
            if not key.endswith("num_batches_tracked"):
                np.testing.assert_array_equal(back[key], value, err_msg=key)
    written = configurations.read(place / "back.json")
    common = {key: config[key] for key in written if key in config}
    assert {key: written[key] for key in common} == common
    assert written["pre_seq_length"] == written["aft_seq_length"] == 4
    # With what was written beside it, the file is imported as it was.
    pdr("import-openstl back.npz --out again --config back.json --dataset arrays "
        "--data-options path clips.npy scaling (0,1)")  # fmt: skip
    assert run.read_recipe(place / "again") == run.read_recipe(place / "theirs")


def folder_of(name, place, **changes):
    """A run folder of a golden model, with some hyperparameters changed."""
    config, weights, _ = load(name)
    config.setdefault("method", name)
    module, variables = convert.from_openstl({**config, **naming(name)}, weights)
    module = module.clone(**changes)
    frames = jax.ShapeDtypeStruct((1, *module.in_shape), np.float32)
    wanted = jax.eval_shape(module.init, jax.random.key(0), frames)
    variables = keep(variables, wanted)
    options = {
        field.name: getattr(module, field.name)
        for field in dataclasses.fields(module)
        if field.name not in ("in_shape", "dtype", "parent", "name")
    }
    length, height, width, channels = module.in_shape
    recipe = recipes.create(
        "arrays", backbone=name, adapter="none", backbone_options=options, in_length=length
    )
    described = {
        "dataset": "arrays",
        "config": "",
        "note": "",
        "frame_shape": (height, width, channels),
        "offset": 0.0,
        "scale": 1.0,
        "data_range": (0, 1),
    }
    imports._write(place / "run", recipe, described, variables)
    return place / "run", weights


def keep(variables, wanted):
    """Those variables that are wanted."""
    if isinstance(wanted, dict):
        return {name: keep(variables[name], tree) for name, tree in wanted.items()}
    return variables


def test_unused_parameters_of_the_public_code_are_exported_as_zeros(tmp_path):
    """A corrected ConvLSTM computes what the public one does, and lacks what that never uses."""
    folder, weights = folder_of("convlstm", tmp_path, faithful=False)
    state, config = exports.export_run(folder)
    assert config["method"] == "convlstm"
    assert config["num_hidden"] == "8,8"
    assert state.keys() == weights.keys()
    unused = {key for key in weights if re.search(r"conv_o|cell_list.*last", key)}
    for key, value in weights.items():
        np.testing.assert_array_equal(state[key], np.zeros_like(value) if key in unused else value)


@pytest.mark.parametrize(("name", "reason"), [("e3dlstm", "memory"), ("dmvfn", "clips")])
def test_what_the_public_code_would_compute_otherwise_is_not_exported(name, reason, tmp_path):
    folder, _ = folder_of(name, tmp_path, faithful=False)
    with pytest.raises(ValueError, match=rf"faithful=False: the public PyTorch code .*{reason}"):
        exports.export_run(folder)


def test_exports_replace_nothing_and_are_refused_before_anything_is_computed(
    place, monkeypatch, capsys
):
    pdr(f"import-openstl theirs.npz --out theirs {ARRAYS}")
    monkeypatch.setattr(exports, "export_run", fail)
    (place / "old.json").touch()
    for out, message in (
        ("x.json", "ends in .pth, .pt or .npz"),
        ("theirs.npz", "theirs.npz is there already"),
        ("old.npz", "old.json is there already: choose another name than old.npz"),
        ("theirs/recipe.npz", "recipe.json is there already"),
        ("nowhere/x.npz", "nowhere is no folder"),
    ):
        assert message in refused(f"export-openstl theirs --out {out}", capsys)


def test_adapters_are_not_exported(place, capsys):
    pdr(f"import-openstl theirs.npz --out theirs {ARRAYS}")
    changed = dataclasses.replace(run.read_recipe(place / "theirs"), adapter="conv")
    run.write_json(place / "theirs/recipe.json", changed.to_json())
    assert "adapter='conv'" in refused("export-openstl theirs --out back.npz", capsys)
    assert not (place / "back.npz").exists()
    pdr("export-openstl theirs --out back.npz --backbone-only")
    assert (place / "back.json").exists()
