"""`pdr train`: recipes from the command line, folders, and the files of a finished run.

The run has the settings of small_runs.py, so that its compiled programs serve other tests too.
"""

import contextlib
import dataclasses
import io
import json
import shutil
import sys
from pathlib import Path

import log_files
import numpy as np
import pytest
import xarray as xr
from PIL import Image
from small_runs import moving_blobs

from pdr_jax import recipes
from pdr_jax.commands import main, train
from pdr_jax.commands.finish import finish
from pdr_jax.files import write_json
from pdr_jax.runs.folder import read_recipe

OPTIONS = (
    "--backbone simvp_convmixer "
    "--in-length 2 --out-length 2 --batch-size 4 --steps 4 --save-every 2 --log-every 1 "
    "--devices 1 --holdout 0.2 --ema-decay 0.9 --backbone-options.hid-S 4 "
    "--backbone-options.hid-T 8 --backbone-options.N-S 2 --backbone-options.N-T 2 "
    "--backbone-options.drop-path 0.1 --predgs.hidden 4 --predgs.tracking.search 2"
).split()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with clips.npy and a run trained by the command; and what was printed."""
    place = tmp_path_factory.mktemp("trained")
    np.save(place / "clips.npy", moving_blobs())
    path = ["--data-options.path", str(place / "clips.npy")]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        main(["train", "arrays", "--out", str(place / "run"), *path, *OPTIONS])
    return place, printed.getvalue()


def test_the_recipe_is_printed_and_the_run_is_scored(trained):
    place, printed = trained
    assert "predgs.tracking.search=2" in printed
    assert "simvp_convmixer + predgs" in printed
    figures = json.loads((place / "run/metrics.json").read_text())
    assert figures["rows"]["simvp_convmixer + predgs"]["mse"] > 0


@pytest.mark.parametrize("picture", ["strip.png", "clip.gif", "tracks.png", "loss.png"])
def test_pictures_are_drawn(trained, picture):
    assert (trained[0] / "run" / picture).stat().st_size > 1000


def test_a_run_predicts(trained, monkeypatch):
    monkeypatch.chdir(trained[0])
    np.save("seen.npy", moving_blobs(3, 2))
    main(["predict", "run", "seen.npy", "future.npy", "--gif", "future.gif"])
    assert np.load("future.npy").shape == (3, 2, 8, 8, 1)
    assert (trained[0] / "future.gif").stat().st_size > 100


def test_a_run_predicts_what_follows_a_folder_of_frames(trained, monkeypatch, capsys):
    monkeypatch.chdir(trained[0])
    Path("seen").mkdir()
    for number, frame in enumerate(moving_blobs(1, 5)[0]):
        Image.fromarray(frame[..., 0]).save(f"seen/{number}.png")
    main(["predict", "run", "seen", "next"])
    assert sorted(path.name for path in Path("next").iterdir()) == ["000005.png", "000006.png"]
    assert "seen: 5 frames of 8 x 8, no rate is told" in capsys.readouterr().out
    for options, message in ((["--key", "t"], "(option --key)"), ([], "expected a new folder")):
        with pytest.raises(SystemExit):
            main(["predict", "run", "seen", "next", *options])
        assert message in capsys.readouterr().err


def test_a_run_predicts_what_follows_a_series(trained, monkeypatch, capsys):
    monkeypatch.chdir(trained[0])
    hours = ("time", np.arange(6), {"units": "hours since 2020-01-01"})
    grey = ("time", "y", "x"), moving_blobs(1, 6)[0, ..., 0]
    xr.Dataset({"rain": grey, "snow": grey}, {"time": hours}).to_netcdf(
        "rain.nc", engine="h5netcdf"
    )
    main(["predict", "run", "rain.nc", "next.nc", "--key", "rain", "--gif", "next.gif"])
    with xr.open_dataset("next.nc", engine="h5netcdf", decode_times=False) as written:
        assert written.rain.dtype == np.uint8
        assert written.time.values.tolist() == [6, 7]
    assert "rain, one every 1 h from 2020-01-01 to 2020-01-01T05" in capsys.readouterr().out
    main(["predict", "run", "rain.nc", "next.npy", "--key", "rain"])
    assert np.load("next.npy").shape == (2, 8, 8, 1)


def test_a_run_is_evaluated(trained, monkeypatch):
    monkeypatch.chdir(trained[0])
    main(["eval", "run", "--no-controls", "--checkpoint", "last"])
    written = json.loads((trained[0] / "run/eval-test-standard-2.json").read_text())
    assert list(written["rows"]) == ["simvp_convmixer + predgs"]


def test_a_run_is_checked(trained, monkeypatch, capsys):
    monkeypatch.chdir(trained[0])
    main(["check", "run"])
    printed = capsys.readouterr().out
    assert printed.count("ok ") == len(printed.splitlines()) == 7
    assert "checksums agree" in printed
    assert "from step 4" in printed


def test_what_is_broken_in_a_run_is_told_and_what_still_works(trained, monkeypatch, capsys):
    monkeypatch.chdir(trained[0])
    shutil.copytree("run", "broken")
    Path("broken/checkpoints/4/run/metadata").write_text("")
    with Path("broken/metrics.jsonl").open("a") as log:
        log.write("junk\n")
    with pytest.raises(SystemExit) as ended:
        main(["check", "broken"])
    assert ended.value.code == 1
    lines = capsys.readouterr().out.splitlines()
    broken = [line.split()[1:3] for line in lines if line.startswith("BROKEN")]
    assert ["metrics.jsonl", "lines"] in broken
    assert ["checkpoint", "4"] in broken
    assert next(line for line in lines if "resumption" in line).startswith("ok")


def test_a_complete_run_is_resumed_to_its_figures(trained, monkeypatch, capsys):
    monkeypatch.chdir(trained[0])
    (trained[0] / "run/metrics.json").unlink()
    main(["train", "--resume=run", "--log", "tensorboard"])
    assert (trained[0] / "run/metrics.json").exists()
    printed = capsys.readouterr()
    assert "written" not in printed.err
    assert "note: logs to tensorboard: run/tensorboard" in printed.out
    (logged,) = log_files.curve(log_files.events(Path("run")), "test/mse")
    figures = json.loads(Path("run/metrics.json").read_text())["rows"]["simvp_convmixer + predgs"]
    assert logged == (4, pytest.approx(figures["mse"]))


def test_a_run_without_clips_to_score_still_gets_pictures(trained, capsys):
    run = trained[0] / "run"
    recipe = read_recipe(run)
    bare = dataclasses.replace(
        recipe, holdout=0.0, data_options={**recipe.data_options, "test_fraction": 0.0}
    )
    write_json(run / "recipe.json", bare.to_json())
    finish(run)
    write_json(run / "recipe.json", recipe.to_json())
    printed = capsys.readouterr().out
    assert "no figures: arrays has no test clips, and none are held out" in printed
    assert "strip.png" in printed


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--batch-size 64", "batch_size=64: expected at most"),
        ("--profile 5:99", "profile='5:99': expected steps up to"),
    ],
)
def test_what_cannot_be_is_refused_before_the_recipe_is_printed(
    option, message, trained, monkeypatch, capsys
):
    monkeypatch.chdir(trained[0])
    path = ["--data-options.path", "clips.npy"]
    with pytest.raises(SystemExit):
        main(["train", "arrays", *path, *OPTIONS, *option.split()])
    printed = capsys.readouterr()
    assert message in printed.err
    assert not printed.out


def test_a_logger_that_is_not_installed_is_refused_before_the_recipe_is_printed(
    trained, monkeypatch, capsys
):
    monkeypatch.chdir(trained[0])
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.delitem(sys.modules, "pdr_jax.runs.loggers.wandb", raising=False)
    path = ["--data-options.path", "clips.npy"]
    with pytest.raises(SystemExit):
        main(["train", "arrays", *path, *OPTIONS, "--log", "tensorboard", "wandb", "--out", "new"])
    printed = capsys.readouterr()
    assert "log=wandb: wandb is not installed: pip install 'pdr-jax[wandb]'" in printed.err
    assert not printed.out
    assert not Path("new").exists()


def test_an_occupied_folder_is_refused_before_data_are_opened(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(train, "open_task", lambda _: pytest.fail("data were opened"))
    write_json(tmp_path / "recipe.json", recipes.create("moving_sprites").to_json())
    with pytest.raises(SystemExit):
        main(["train", "moving_sprites", "--seed", "3", "--out", str(tmp_path)])
    said = capsys.readouterr().err
    assert f"{tmp_path} holds another run already" in said
    assert f"pdr train --resume {tmp_path}" in said


def test_bounds_of_the_output_are_noted(tmp_path, monkeypatch, capsys):
    np.save(tmp_path / "clips.npy", np.linspace(-2, 2, 20 * 4 * 64).reshape(20, 4, 8, 8, 1))
    monkeypatch.setattr(train, "fit", lambda *_, **__: None)
    monkeypatch.setattr(train, "finish", lambda _: None)
    options = "--backbone phydnet --in-length 2 --out-length 2 --batch-size 4".split()
    data = f"--data-options.path {tmp_path}/clips.npy --data-options.scaling zscore".split()
    main(["train", "arrays", *options, *data])
    assert "note: output: PhyDNet predicts values from 0 to 1, and" in capsys.readouterr().out


def test_the_default_folder_names_protocol_and_source_run():
    plain = recipes.create("kth", protocol="openstl")
    started = dataclasses.replace(plain, init_from="runs/theirs", seed=3)
    assert train.default_folder(plain).name == "kth-tau-predgs-l1_ssim-openstl-seed0"
    assert train.default_folder(started).name == "kth-tau-predgs-l1_ssim-openstl-from-theirs-seed3"
    logged = dataclasses.replace(started, log=("wandb",))
    assert train.default_folder(logged) == train.default_folder(started)
    rates = [dataclasses.replace(plain, learning_rate=rate) for rate in (3e-3, 1e-4)]
    names = [train.default_folder(recipe).name for recipe in rates]
    assert len({*names, "kth-tau-predgs-l1_ssim-openstl-seed0"}) == 3
    assert all(name.startswith("kth-tau-predgs-l1_ssim-openstl-seed0-") for name in names)
