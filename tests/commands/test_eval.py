"""`pdr eval`: several runs side by side, files of values, published rows."""

import csv
import dataclasses
import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from small_runs import SMALL, moving_blobs

from pdr_jax import recipes
from pdr_jax.commands import eval as command
from pdr_jax.commands import main
from pdr_jax.files import write_json
from pdr_jax.runs.fit import fit
from pdr_jax.runs.folder import read_data, read_recipe
from pdr_jax.runs.scores import check_comparable, row_labels
from pdr_jax.runs.state import load
from pdr_jax.task import open_task


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two finished runs; the second is marked as started from a run under the other protocol."""
    root = tmp_path_factory.mktemp("runs")
    np.save(root / "clips.npy", moving_blobs())
    made = recipes.create(
        "arrays",
        backbone="simvp_convmixer",
        adapter="none",
        **{**SMALL, "steps": 2, "ema_decay": 0.0},
    )
    made.data_options["path"] = str(root / "clips.npy")
    for seed, name in enumerate(("first", "second")):
        fit(open_task(dataclasses.replace(made, seed=seed)), root / name)
    data = read_data(root / "second")
    data["init_from"] = {"protocol": "openstl", "data": {"dataset": "arrays"}}
    write_json(root / "second/data.json", data)
    return root


@pytest.fixture
def here(folder, monkeypatch):
    """Commands run in the folder of the runs."""
    monkeypatch.chdir(folder)
    return folder


def test_a_folder_that_cannot_take_figures_is_refused_before_any_work(here, monkeypatch, capsys):
    monkeypatch.setattr("os.access", lambda *_: False)
    monkeypatch.setattr(command, "load", lambda *_, **__: pytest.fail("a run was loaded"))
    with pytest.raises(SystemExit):
        main(["eval", "first"])
    assert "first is not writable" in capsys.readouterr().err


@pytest.fixture(scope="module")
def both(folder):
    """What `pdr eval` writes for two runs: figures by run, and the rows of the file of values."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        main("eval first second --no-controls --values new/values.csv --batch-size 3".split())
    written = {
        name: json.loads((folder / name / "eval-test-standard-2.json").read_text())
        for name in ("first", "second")
    }
    return written, list(csv.DictReader((folder / "new/values.csv").read_text().splitlines()))


def test_runs_side_by_side(both):
    written, _ = both
    figures = {name: file["rows"][name] for name, file in written.items()}
    for name, file in written.items():
        assert file["dataset"] == "arrays clips.npy_2to2"
        # The figure is the mean of the curve over the horizon.
        assert np.mean(file["per_frame"][name]["mse"]) == pytest.approx(figures[name]["mse"])
    assert figures["first"]["mse"] != figures["second"]["mse"]


def test_every_frame_of_every_clip_is_in_the_values(both):
    written, rows = both
    assert len(rows) == 2 * 4 * 2  # runs, test clips, frames
    assert {row["clip"] for row in rows} == {"16", "17", "18", "19"}
    assert {row["frame"] for row in rows} == {"1", "2"}
    for name, file in written.items():
        values = [float(row["mse"]) for row in rows if row["predictor"] == name]
        assert np.mean(values) == pytest.approx(file["rows"][name]["mse"], rel=1e-6)


def test_what_is_printed(here, capsys):
    main("eval first second --no-controls".split())
    printed = capsys.readouterr().out
    assert "first" in printed
    assert "second" in printed
    assert "best by the last 3 of 16 training clips" in printed
    assert printed.count("note: ") == 1
    note = "note: Parameters were trained under protocol 'openstl' and are used under 'standard'"
    assert note in " ".join(printed.split())


@pytest.fixture
def namesakes(here, tmp_path):
    """Two runs, a/seed0 and b/seed0, whose checkpoints were chosen on different clips."""
    for parent, origin in (("a", "first"), ("b", "second")):
        shutil.copytree(here / origin, tmp_path / parent / "seed0")
    data = read_data(tmp_path / "b/seed0")
    write_json(tmp_path / "b/seed0/data.json", data | {"chosen_on": "the validation split"})
    return [str(tmp_path / parent / "seed0") for parent in "ab"]


def test_runs_of_the_same_name_are_told_apart(namesakes, tmp_path, capsys):
    values = tmp_path / "values.csv"
    main(["eval", *namesakes, "--no-controls", "--values", str(values)])
    printed = capsys.readouterr().out
    assert "a/seed0" in printed
    assert "b/seed0" in printed
    rows = list(csv.DictReader(values.read_text().splitlines()))
    assert {row["predictor"] for row in rows} == {"a/seed0", "b/seed0"}
    assert len(rows) == 2 * 4 * 2


@pytest.mark.parametrize("name", ["persistence", "extrapolation"])
def test_the_names_of_baselines_are_not_those_of_runs(name):
    labels = row_labels([Path("a", name), Path("a/other")])
    assert list(labels.values()) == [f"a/{name}", "a/other"]


def test_the_title_says_what_chose_each_checkpoint(namesakes, capsys):
    main(["eval", *namesakes, "--no-controls"])
    printed = " ".join(capsys.readouterr().out.split())
    assert (
        "a/seed0: best by the last 3 of 16 training clips; b/seed0: best by the validation split"
        in printed
    )


def test_a_renderer_that_only_gpus_have_opens_here(here):
    path = here / "first/recipe.json"
    fields = json.loads(path.read_text())
    path.write_text(json.dumps({**fields, "renderer": "jax_triton", "ssim": "pallas_triton"}))
    task, _ = load(here / "first")
    path.write_text(json.dumps(fields))
    assert (task.recipe.renderer, task.recipe.ssim) == ("auto", "auto")


def test_parquet(here):
    from pyarrow import parquet

    main("eval first --values values.parquet".split())
    table = parquet.read_table("values.parquet")
    assert table.num_rows == 2 * 4 * 2  # the run and persistence
    assert {"predictor", "clip", "frame", "mse"} <= set(table.column_names)


def test_scores_of_events_and_of_samples(here, capsys):
    """A model that draws nothing has a CRPS too, its mean absolute error."""
    main("eval second --no-controls --samples 2 --thresholds 100 200".split())
    written = json.loads((here / "second/eval-test-standard-2.json").read_text())
    (label,) = written["details"]
    figures, events = written["rows"][label], written["details"][label]["events"]
    assert figures["crps"] == pytest.approx(figures["mae"] / 64, rel=1e-6)
    assert figures["csi"] == pytest.approx((events["100"]["csi"] + events["200"]["csi"]) / 2)
    printed = " ".join(capsys.readouterr().out.split())
    assert "events: 200 or more, in stored units" in printed
    assert f"note: {label} draws no futures: its CRPS is the mean absolute error" in printed


def test_warping_errors_by_rafts_flow(here, monkeypatch):
    """Its file adds them, under names of their own."""

    def still(first, second):
        return np.zeros((*first.shape[:3], 2), np.float32)

    monkeypatch.setattr(command.raft, "load_raft", {Path("raft.pth"): still}.get)
    main("eval second --no-controls --checkpoint last --raft raft.pth".split())
    (row,) = json.loads((here / "second/eval-test-standard-2.json").read_text())["rows"].values()
    assert row["warping_ratio_raft"] > 0
    assert "warping_ratio" not in row


def test_a_missing_pyarrow_is_said_before_any_run_is_scored(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setattr(command, "measure", None)  # would raise
    with pytest.raises(ImportError, match="needs pyarrow"):
        command.evaluate((folder / "first",), values=folder / "values.parquet")


def test_another_data_set(here):
    np.save("other.npy", moving_blobs(seed=5))
    options = "path other.npy test_fraction 0.5"
    main(f"eval first --no-controls --dataset arrays --data-options {options}".split())
    # The run's own figures have their own file.
    (path,) = set(here.glob("first/eval-test-standard-2-*.json"))
    written = json.loads(path.read_text())
    assert written["dataset"] == "arrays other.npy_2to2"
    assert "ssim" in written["rows"]["simvp_convmixer"]
    # Figures of an earlier evaluation of the same clips are kept.
    before = {**written, "rows": {"simvp_convmixer": {"lpips": 0.5}}, "per_frame": {}}
    path.write_text(json.dumps(before))
    main(f"eval first --dataset arrays --data-options {options}".split())
    written = json.loads(path.read_text())
    assert written["rows"]["simvp_convmixer"]["lpips"] == 0.5
    assert {"mse", "lpips"} <= set(written["rows"]["simvp_convmixer"])
    assert "lpips" not in written["rows"]["persistence"]
    main(f"eval first --checkpoint last --data-options {options}".split())
    assert "lpips" not in json.loads(path.read_text())["rows"]["simvp_convmixer"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("eval", "run_folders|RUN"),
        ("eval first first", "first is given twice"),
        ("eval first --values values.txt", r"ends in \.csv or \.parquet"),
        ("eval first --batch-size 0", r"batch_size=0: expected 1 or more \(option --batch-size\)"),
        ("eval first --samples -1", r"samples=-1: expected 0 or more"),
        ("eval first --thresholds nan", r"thresholds: nan is no value of the data"),
        ("eval first --fvd absent.pt", r"absent.pt: no such file. FVD's I3D is"),
        ("eval first --raft absent.pth", r"absent.pth: no such file. RAFT's trained weights"),
        ("eval first --published", "--published needs --protocol openstl"),
        ("eval first --published --protocol openstl", "no published figures for arrays"),
        ("eval first --split holdout --protocol openstl", "first has none under protocol openstl"),
        ("eval first --lpips trunk.npz", "both --lpips and --lpips-heads"),
        ("eval first --lpips trunk.npz --lpips-heads heads.npz", "trunk.npz"),
    ],
)
def test_refused(here, argv, message, capsys):
    before = sorted(here.rglob("*"))
    with pytest.raises(SystemExit) as exit_:
        main(argv.split())
    assert exit_.value.code == 2
    assert re.search(message, "".join(capsys.readouterr()))
    assert sorted(here.rglob("*")) == before


def test_runs_of_other_protocols_are_refused_before_any_is_scored(here, monkeypatch):
    (here / "third").mkdir(exist_ok=True)
    recipe = dataclasses.replace(read_recipe(here / "first"), protocol="openstl")
    write_json(here / "third/recipe.json", recipe.to_json())
    monkeypatch.setattr(command, "measure", None)  # would raise
    with pytest.raises(ValueError, match=r"protocol='openstl' in .*third, 'standard' in .*first"):
        command.evaluate((here / "first", here / "third"))


def test_scalings_compare_as_the_runs_were_trained(folder, tmp_path):
    first = folder / "first"
    recipe = read_recipe(first)
    given = {**recipe.data_options, "scaling": "0,2"}
    second = dataclasses.replace(recipe, data_options=given)
    shutil.copytree(first, tmp_path / "same")
    check_comparable({first: recipe, tmp_path / "same": second}, "test")
    shutil.copytree(first, tmp_path / "other")
    write_json(tmp_path / "other/data.json", {**read_data(first), "scale": 2.0})
    with pytest.raises(ValueError, match=r"^data_options\.scaling=\[0\.0, 2\.0\] in .*other"):
        check_comparable({first: recipe, tmp_path / "other": second}, "test")


def test_figures_of_mcvd_are_beside_those_of_its_clips_alone(tmp_path):
    recipe = recipes.create("kth", protocol="mcvd")
    recipe.data_options["split"] = "person"
    write_json(tmp_path / "recipe.json", recipe.to_json())
    with pytest.raises(ValueError, match=r"split='person'; its figures are of split='mcvd'"):
        command.evaluate((tmp_path,), published=True)
