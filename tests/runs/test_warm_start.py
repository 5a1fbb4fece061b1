"""The parameters of one run as the start of another."""

import contextlib
import dataclasses
import io
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from imported_runs import ARRAYS, assert_close, fill, pdr, refused

from pdr_jax import recipes
from pdr_jax.commands import train
from pdr_jax.diffusion import DiffusionConfig
from pdr_jax.files import write_json
from pdr_jax.runs import scores
from pdr_jax.runs.folder import read_data
from pdr_jax.runs.state import load
from pdr_jax.runs.warm_start import Origin, read_origin
from pdr_jax.train import TrainState

TRAIN = "--steps 1 --batch-size 2 --devices 1 --learning-rate 1e-9 --schedule constant"
SMALL = "--predgs.num-gaussians 16 --predgs.window 7 --predgs.pool 4 --predgs.hidden 8"
NOTE = "'openstl' and are used under 'standard': held-out clips were trained on"


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """A folder with runs/theirs, imported, and runs/ours, PDR behind it; and what was printed."""
    place = fill(tmp_path_factory.mktemp("started"))
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.chdir(place)
        # Figures and pictures are tested in commands/test_train.py.
        patch.setattr(train, "finish", lambda _: None)
        pdr(f"import-openstl theirs.npz --out runs/theirs {ARRAYS}")
        command = "train --protocol standard --init-from runs/theirs --adapter robust"
        pdr(f"{command} --out runs/ours {TRAIN} {SMALL}")
    return place, printed.getvalue()


@pytest.fixture
def runs(started, monkeypatch):
    """The `Origin` of each of the two runs."""
    monkeypatch.chdir(started[0])
    return {name: read_origin(started[0] / "runs" / name) for name in ("theirs", "ours")}


def test_the_backbone_is_copied_and_the_adapter_is_new(runs):
    ours, theirs = runs["ours"], runs["theirs"]
    assert (ours.recipe.dataset, ours.recipe.adapter) == ("arrays", "robust")
    assert (ours.recipe.protocol, ours.recipe.out_length) == ("standard", 4)
    assert ours.recipe.backbone_options == theirs.recipe.backbone_options
    assert_close(ours.variables["params"]["backbone"], theirs.variables["params"]["backbone"])
    assert ours.step == 1


def test_data_json_names_the_source_run(runs):
    lineage = read_data(runs["ours"].folder)["init_from"]
    assert (lineage["parts"], lineage["step"]) == (["backbone"], 0)
    assert lineage["protocol"] == "openstl"
    assert lineage["data"]["imported"]["file"] == "theirs.npz"


def test_the_protocol_is_the_source_runs_and_another_one_is_noted(started, runs, capsys):
    assert train.named_recipe(["--init-from", "runs/theirs"]).protocol == "openstl"
    assert train.named_recipe(["--init_from=runs/theirs"]).protocol == "openstl"
    assert f"note: Parameters were trained under protocol {NOTE}" in started[1]
    told = refused("eval runs/theirs runs/ours", capsys)
    assert "protocol='standard' in runs/ours, 'openstl' in runs/theirs: such figures" in told
    task, _ = load(runs["ours"].folder)
    figures = scores.describe(runs["ours"].folder, task, split="test", checkpoint="best")
    assert NOTE in figures["note"]


def test_the_settings_of_parts_that_both_runs_have_are_the_source_runs(runs):
    ours = dataclasses.replace(runs["ours"].recipe, fusion="add", adapter="robust+diffusion")
    ours = dataclasses.replace(ours, diffusion=DiffusionConfig(steps=3, freeze=True))
    Path("runs/drawn").mkdir()
    write_json(Path("runs/drawn/recipe.json"), dataclasses.replace(ours, init_from="x").to_json())
    fields = {"predgs", "fusion", "diffusion"}
    for options, adapter, kept in (
        ("", "robust+diffusion", fields),
        ("--adapter robust+diffusion", "robust+diffusion", fields),
        ("--adapter robust", "robust", fields - {"diffusion"}),
        ("--adapter tracked+diffusion", "tracked+diffusion", {"diffusion"}),
        ("--adapter none", "none", set()),
    ):
        recipe = train.named_recipe(["--init-from", "runs/drawn", *options.split()])
        assert recipe.adapter == adapter
        same = {name for name in fields if getattr(recipe, name) == getattr(ours, name)}
        assert same == kept, options
    assert train.named_recipe(["--init-from", "runs/theirs"]).adapter == "predgs"


def test_a_run_that_starts_from_ours_copies_all_three_parts(runs):
    ours = runs["ours"]
    _, state = load(ours.folder)
    blank = jax.tree.map(np.zeros_like, state)
    parts = ours.parts(ours.recipe, blank)
    assert set(parts) == {"backbone", "adapter", "fuse_conv"}
    placed = jax.tree.map(jax.device_put, blank)
    assert_close(ours.into(placed, parts).params, state.params)
    assert_close(ours.into(placed, parts).batch_stats, state.batch_stats)


def test_source_runs_that_do_not_fit_are_refused(place, capsys):
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
    assert "theirs holds another run already" in message
    assert "steps=7, there 0" in message
    assert "choose another folder (out)" in message
    assert not (place / "runs").exists() or not list((place / "runs").glob("*/recipe.json"))
    other = recipes.create("arrays", backbone="simvp_gsta", adapter="none")
    with pytest.raises(ValueError, match=r"backbone='simvp_gsta': .* has 'simvp_convmixer'"):
        read_origin(place / "theirs").parts(other, None)


def test_averages_start_at_the_copied_parameters():
    def variables(value):
        leaf = jnp.full(2, value)
        return {"params": {"backbone": leaf}, "batch_stats": {"backbone": leaf}}

    state = TrainState(jnp.zeros((), jnp.int32), **variables(0.0), opt_state=(), ema=variables(0.0))
    started = Origin(Path(), None, 0, variables(1.0)).into(state, ("backbone",))
    jax.tree.map(np.testing.assert_array_equal, started.variables(), variables(1.0))
