"""Exports of run folders to the public PyTorch code."""

import dataclasses
import os
import re

import jax
import numpy as np
import pytest
from golden_files import load
from imported_runs import ARRAYS, fail, pdr, refused

from pdr_jax import backbones, recipes
from pdr_jax.files import write_json
from pdr_jax.interop import configurations, convert
from pdr_jax.interop.family import naming
from pdr_jax.runs import openstl_export
from pdr_jax.runs.folder import read_recipe
from pdr_jax.runs.untrained import write_run


def test_export_is_the_inverse_of_import(place, capsys):
    config, weights, _ = load("simvp_convmixer")
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
    # With its configuration, the file gives the same run again.
    pdr("import-openstl back.npz --out again --config back.json --dataset arrays "
        "--data-options path clips.npy scaling (0,1)")  # fmt: skip
    assert read_recipe(place / "again") == read_recipe(place / "theirs")


def folder_of(name, place, **changes):
    """A run folder of a golden model, with some hyperparameters changed."""
    config, weights, _ = load(name)
    config.setdefault("method", name)
    module, variables = convert.from_openstl({**config, **naming(name)}, weights)
    module = module.clone(**changes)
    frames = jax.ShapeDtypeStruct((1, *module.in_shape), np.float32)
    wanted = jax.eval_shape(module.init, jax.random.key(0), frames)
    variables = keep(variables, wanted)
    names = backbones.hyperparameters(name).keys() - {"dtype"}
    options = {option: getattr(module, option) for option in names}
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
    write_run(place / "run", recipe, described, variables)
    return place / "run", weights


def keep(variables, wanted):
    """The variables that are in `wanted` too."""
    if isinstance(wanted, dict):
        return {name: keep(variables[name], tree) for name, tree in wanted.items()}
    return variables


def test_unused_parameters_of_the_public_code_are_exported_as_zeros(tmp_path):
    """Our corrected ConvLSTM lacks the parameters that the public one never uses."""
    folder, weights = folder_of("convlstm", tmp_path, faithful=False)
    state, config = openstl_export.export_run(folder)
    assert config["method"] == "convlstm"
    assert config["num_hidden"] == "8,8"
    assert state.keys() == weights.keys()
    unused = {key for key in weights if re.search(r"conv_o|cell_list.*last", key)}
    for key, value in weights.items():
        np.testing.assert_array_equal(state[key], np.zeros_like(value) if key in unused else value)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("e3dlstm", "memory"), pytest.param("dmvfn", "clips", marks=pytest.mark.rest)],
)
def test_models_that_the_public_code_computes_differently_are_refused(name, reason, tmp_path):
    folder, _ = folder_of(name, tmp_path, faithful=False)
    with pytest.raises(ValueError, match=rf"faithful=False: the public PyTorch code .*{reason}"):
        openstl_export.export_run(folder)


def test_exports_replace_nothing_and_are_refused_before_anything_is_computed(
    place, monkeypatch, capsys
):
    pdr(f"import-openstl theirs.npz --out theirs {ARRAYS}")
    monkeypatch.setattr(openstl_export, "export_run", fail)
    (place / "old.json").touch()
    for out, message in (
        ("x.json", "ends in .pth, .pt or .npz"),
        ("theirs.npz", "theirs.npz is there already"),
        ("old.npz", "old.json is there already: choose another name than old.npz"),
        ("theirs/recipe.npz", "recipe.json is there already"),
        ("nowhere/x.npz", "nowhere is no folder"),
    ):
        assert message in refused(f"export-openstl theirs --out {out}", capsys)


def test_an_export_that_was_killed_is_completed(place):
    pdr(f"import-openstl theirs.npz --out theirs {ARRAYS}")
    pdr("export-openstl theirs --out x.npz")
    whole = (place / "x.npz").read_bytes(), (place / "x.json").read_bytes()
    (place / "x.npz").unlink()
    pdr("export-openstl theirs --out x.npz")
    assert ((place / "x.npz").read_bytes(), (place / "x.json").read_bytes()) == whole


def test_an_export_that_fails_leaves_nothing(place, monkeypatch, capsys):
    pdr(f"import-openstl theirs.npz --out theirs {ARRAYS}")
    before = sorted(os.listdir())
    monkeypatch.setattr(np, "savez", fail)
    assert "disk full" in refused("export-openstl theirs --out x.npz", capsys)
    assert sorted(os.listdir()) == before


def test_adapters_are_not_exported(place, capsys):
    pdr(f"import-openstl theirs.npz --out theirs {ARRAYS}")
    changed = dataclasses.replace(read_recipe(place / "theirs"), adapter="conv")
    write_json(place / "theirs/recipe.json", changed.to_json())
    assert "adapter='conv'" in refused("export-openstl theirs --out back.npz", capsys)
    assert not (place / "back.npz").exists()
    pdr("export-openstl theirs --out back.npz --backbone-only")
    assert (place / "back.json").exists()
