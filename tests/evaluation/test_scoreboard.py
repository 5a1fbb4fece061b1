"""`pdr eval`: protocols, several runs, published rows, files of values."""

import csv
import dataclasses
import json
import sys

import jax
import numpy as np
import pytest
from small_runs import SMALL, moving_blobs

import pdr_datasets
from pdr_jax import cli, protocols, published, recipes, results, run, run_folder, scoreboard


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two finished runs; the second says that it started from one under the other protocol."""
    root = tmp_path_factory.mktemp("runs")
    np.save(root / "clips.npy", moving_blobs())
    made = recipes.create("arrays", adapter="none", **{**SMALL, "steps": 2, "ema_decay": 0.0})
    made.data_options["path"] = str(root / "clips.npy")
    for seed, name in enumerate(("first", "second")):
        run.fit(dataclasses.replace(made, seed=seed), root / name)
    data = run_folder.read_data(root / "second")
    data["init_from"] = {"protocol": "openstl", "data": {"dataset": "arrays"}}
    run.write_json(root / "second/data.json", data)
    return root


def test_runs_side_by_side(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    cli.main("eval first second --no-controls --values new/values.csv --batch-size 3".split())
    printed = capsys.readouterr().out
    assert "best by the last 3 of 16 training clips" in printed
    assert printed.count("note: ") == 1
    assert "note: Parameters trained under protocol 'openstl' meet 'standard'" in printed
    figures = {}
    for name in ("first", "second"):
        assert name in printed
        written = json.loads((folder / name / "eval-test-standard-2.json").read_text())
        figures[name] = written["rows"][name]
        assert written["dataset"] == "arrays clips.npy_2to2"
        # The mean over the horizon of the curve is the figure.
        assert np.mean(written["per_frame"][name]["mse"]) == pytest.approx(figures[name]["mse"])
    assert figures["first"]["mse"] != figures["second"]["mse"]

    rows = list(csv.DictReader((folder / "new/values.csv").read_text().splitlines()))
    assert len(rows) == 2 * 4 * 2  # runs, test clips, frames
    assert {row["clip"] for row in rows} == {"16", "17", "18", "19"}
    assert {row["frame"] for row in rows} == {"1", "2"}
    for name in figures:
        values = [float(row["mse"]) for row in rows if row["predictor"] == name]
        assert np.mean(values) == pytest.approx(figures[name]["mse"], rel=1e-6)


def test_figures_do_not_depend_on_batches_or_devices(folder):
    _, task, state = run.load(folder / "first")
    score = dict(task=task, variables=state.variables(), controls=False)
    want = results.score(**score, batch_size=4)["model"]
    for options in ({"batch_size": 3}, {"batch_size": 8, "devices": 8}):
        got = results.score(**score, **options)["model"]
        assert got.keys() == want.keys()
        for name, value in want.items():
            assert got[name] == pytest.approx(value, rel=1e-5), (name, options)
    assert jax.device_count() == 8
    with pytest.raises(ValueError, match="batch_size=6: expected a multiple of the 4 devices"):
        results.score(**score, batch_size=6, devices=4)


def test_parquet(folder, monkeypatch):
    from pyarrow import parquet

    monkeypatch.chdir(folder)
    cli.main("eval first --values values.parquet".split())
    table = parquet.read_table("values.parquet")
    assert table.num_rows == 2 * 4 * 2  # the run and persistence
    assert {"predictor", "clip", "frame", "mse"} <= set(table.column_names)


def test_a_missing_pyarrow_is_said_before_any_run_is_scored(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setattr(results, "measure", None)  # would raise
    with pytest.raises(ImportError, match="needs pyarrow"):
        scoreboard.evaluate((folder / "first",), values=folder / "values.parquet")


def test_another_data_set(folder, monkeypatch):
    monkeypatch.chdir(folder)
    np.save("other.npy", moving_blobs(seed=5))
    options = "path other.npy test_fraction 0.5"
    cli.main(f"eval first --no-controls --dataset arrays --data-options {options}".split())
    path = folder / "first/eval-test-standard-2.json"
    written = json.loads(path.read_text())
    assert written["dataset"] == "arrays other.npy_2to2"
    assert "ssim" in written["rows"]["tau"]
    # What was measured before of the same stays beside what is measured anew.
    before = {**written, "rows": {"tau": {"lpips": 0.5}}, "per_frame": {}}
    path.write_text(json.dumps(before))
    cli.main(f"eval first --dataset arrays --data-options {options}".split())
    written = json.loads(path.read_text())
    assert written["rows"]["tau"]["lpips"] == 0.5
    assert {"mse", "lpips"} <= set(written["rows"]["tau"])
    assert "lpips" not in written["rows"]["persistence"]
    cli.main(f"eval first --checkpoint last --data-options {options}".split())
    assert "lpips" not in json.loads(path.read_text())["rows"]["tau"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("eval", "run_folders|RUN"),
        ("eval first --values values.txt", r"ends in \.csv or \.parquet"),
        ("eval first --batch-size 0", "batch_size=0: expected 1 or more"),
        ("eval first --published", "--protocol openstl only"),
        ("eval first --published --protocol openstl", "no published figures for arrays"),
        ("eval first --split holdout --protocol openstl", "first has none under protocol openstl"),
        ("eval first --lpips trunk.npz", "both --lpips and --lpips-heads"),
        ("eval first --lpips trunk.npz --lpips-heads heads.npz", "trunk.npz"),
    ],
)
def test_refused(folder, argv, message, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    before = sorted(folder.rglob("*"))
    with pytest.raises(SystemExit) as exit_:
        cli.main(argv.split())
    assert exit_.value.code == 2
    import re

    assert re.search(message, "".join(capsys.readouterr()))
    assert sorted(folder.rglob("*")) == before


def test_openstl_chooses_on_the_test_set(folder):
    recipe = dataclasses.replace(run.read_recipe(folder / "first"), protocol="openstl")
    task = run.load_task(recipe)
    assert len(task.train) == 16
    assert task.holdout is None
    assert task.selection == ("test", task.test)
    assert "TEST" in task.chosen_on


def test_held_out_windows_share_no_frame_with_the_rest(folder):
    recipe = dataclasses.replace(run.read_recipe(folder / "first"), holdout=0.2)
    series = np.random.default_rng(0).random((60, 8, 8, 1), np.float32)
    dataset = pdr_datasets.load("arrays", array=series, in_length=2, out_length=2)
    task = run.load_task(recipe, dataset)
    last, first = task.train[len(task.train) - 1]["id"], task.holdout[0]["id"]
    assert last + 4 == first
    assert len(task.holdout) == int(0.2 * len(dataset.splits["train"]))


def test_runs_of_other_protocols_are_refused_before_any_is_scored(folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "third").mkdir(exist_ok=True)
    recipe = dataclasses.replace(run.read_recipe(folder / "first"), protocol="openstl")
    run.write_json(folder / "third/recipe.json", recipe.to_json())
    monkeypatch.setattr(results, "measure", None)  # would raise
    with pytest.raises(ValueError, match=r"third has protocol='openstl', .*first 'standard'"):
        scoreboard.evaluate((folder / "first", folder / "third"))


def test_what_is_noted_where_parameters_meet_another_protocol(tmp_path):
    """Of the run, and of those that it started from."""

    def note(data, protocol, trained="standard", dataset="kth"):
        made = recipes.create(dataset, protocol=trained)
        run.write_json(tmp_path / "recipe.json", made.to_json())
        run.write_json(tmp_path / "data.json", data)
        return run_folder.protocol_note(tmp_path, dataclasses.replace(made, protocol=protocol))

    kth = {"dataset": "kth"}
    assert note(kth, "standard") == ""
    assert note(kth, "openstl") == ""  # the clips that are scored are the same
    chosen = "'openstl' meet 'standard': held-out clips were trained on"
    assert chosen in note(kth, "standard", trained="openstl")
    assert chosen in note(kth | {"imported": {}}, "standard")
    origin = {"protocol": "openstl", "data": kth}
    assert chosen in note(kth | {"init_from": origin}, "standard")
    between = {"protocol": "standard", "data": kth | {"init_from": origin}}
    assert chosen in note(kth | {"init_from": between}, "standard")
    elsewhere = {"protocol": "openstl", "data": {"dataset": "taxibj"}}
    assert note(kth | {"init_from": elsewhere}, "standard") == ""
    other_frames = "'standard' meet 'openstl': human36m has other parts and other frames"
    assert other_frames in note({"dataset": "human36m"}, "openstl", dataset="human36m")


def test_a_validation_split_chooses_where_there_is_one(folder):
    recipe = run.read_recipe(folder / "first")
    dataset = run.open_dataset(recipe)
    splits = {**dataset.splits, "val": dataset.splits["test"]}
    task = run.load_task(recipe, dataclasses.replace(dataset, splits=splits))
    assert task.selection == ("val", splits["val"])
    assert len(task.train) == 16


def test_what_each_protocol_reports():
    dataset = pdr_datasets.load("arrays", array=moving_blobs(), in_length=2, out_length=2)
    assert protocols.metric_names(dataset, "openstl") == ("mse", "mae", "ssim", "psnr")
    assert "sharpness" in protocols.metric_names(dataset, "standard")
    assert "diversity" in protocols.metric_names(dataset, "standard")
    tiny = dataclasses.replace(dataset, frame_shape=(6, 8, 1))
    assert protocols.metric_names(tiny, "openstl") == ("mse", "mae", "psnr")
    row = {"units": "stored", "spatial_norm": True, "latitudes": tuple(np.linspace(-80, 80, 8))}
    world = dataclasses.replace(dataset, scoring=pdr_datasets.Scoring(**row))
    assert protocols.metric_names(world, "openstl") == ("mse", "mae", "rmse")
    assert "rmse_weighted" in protocols.metric_names(world, "standard")
    assert "acc" not in protocols.metric_names(world, "standard")  # it has no climatology


def test_stored_units():
    rng = np.random.default_rng(0)
    field = (280 + 10 * rng.random((40, 8, 9, 2))).astype(np.float32)
    dataset = pdr_datasets.load(
        "arrays", array=field, in_length=2, out_length=2, scaling="zscore", per_channel=True
    )
    kelvin = dataclasses.replace(
        dataset, scoring=pdr_datasets.Scoring(units="stored", spatial_norm=True)
    )
    model = dataclasses.replace(dataset, scoring=pdr_datasets.Scoring())
    truth = field[None, :4]
    wrong = truth + np.float32([1.0, 2.0])
    figures = {}
    for name, units in (("kelvin", kelvin), ("model", model)):
        evaluator = protocols.evaluator(units)
        evaluator.update(dataset.normalise(wrong), dataset.normalise(truth))
        figures[name] = evaluator.compute()
    assert figures["kelvin"]["mse"] == pytest.approx(2.5, rel=1e-4)  # mean of 1 and 4
    # A figure that is relative to the range of the data is the same in either units.
    assert figures["kelvin"]["ssim_range1"] == pytest.approx(figures["model"]["ssim_range1"], 1e-3)


def test_json_is_strict(tmp_path):
    figures = {"psnr": float("inf"), "curve": [1.0, float("nan")], "clips": 3}
    run.write_json(tmp_path / "a.json", figures)
    written = json.loads((tmp_path / "a.json").read_text())
    assert written == {"psnr": None, "curve": [1.0, None], "clips": 3}


def test_published_rows():
    rows = published.rows("taxibj")
    assert rows["TAU (published by OpenSTL, 50 epochs)"]["mse"] == 0.3108
    assert rows["PDR (TAU) (published by PDR)"] == {"mse": 0.2807, "mae": 14.29}
    for name in ("weatherbench", "kth", "human36m", "moving_mnist"):
        for label, figures in published.rows(name).items():
            assert "published by" in label
            assert figures
            assert all(value > 0 for value in figures.values())
    assert published.rows("arrays") == {}
