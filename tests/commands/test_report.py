"""`pdr report`: from run folders to a page."""

import dataclasses
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from small_runs import moving_blobs

from pdr_jax.commands import report as command
from pdr_jax.commands.report import measured_split, report_runs, write_report
from pdr_jax.evaluation.explorer import Evaluated, choose, explore
from pdr_jax.files import read_json, write_json
from pdr_jax.report.html import TooLargeError

pytestmark = pytest.mark.rest


def data_of(path):
    """What the page's scripts get."""
    text = path.read_text("utf-8")
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.S)
    return json.loads(found[1])


@pytest.fixture(scope="module")
def folders(finished, tmp_path_factory):
    """Two copies of the finished run whose data can be opened; a setting of one is not harmless."""
    root = tmp_path_factory.mktemp("runs")
    np.save(root / "clips.npy", moving_blobs())
    for name, origin in (("first", ""), ("second", "</script><b>")):
        shutil.copytree(finished[0], root / name)
        recipe = read_json(root / name / "recipe.json")
        recipe["data_options"] = {"path": str(root / "clips.npy")}
        write_json(root / name / "recipe.json", {**recipe, "init_from": origin})
    return root


@pytest.fixture(scope="module")
def page(folders):
    out = folders / "new/report.html"
    runs = (folders / "first", folders / "second")
    report_runs(runs, out=out, clips=3, batch_size=4)
    return out


def test_runs_side_by_side(page):
    text, data = page.read_text("utf-8"), data_of(page)
    assert data["runs"] == ["first", "second"]
    assert '<th scope="row">init_from</th><td></td><td>&lt;/script&gt;&lt;b&gt;</td>' in text
    assert "best by the last 3 of 16 training clips, step" in text
    for row in ("first, mean Y", "first, shuffled Y", "second, coarse", "persistence"):
        assert f'<tr class="control"><th scope="row">{row}</th>' in text
    for chart in (
        "loss by step",
        "holdout_mse by step",
        "mse (lower is better) by predicted frame",
    ):
        assert f'aria-label="{chart}' in text


def test_clips_go_from_worst_to_best(page):
    clips = data_of(page)["clips"]
    assert [clip["title"].split(":")[0] for clip in clips] == ["worst", "median", "best"]
    means = [np.mean(clip["errors"]["first"]) for clip in clips]
    assert means == sorted(means, reverse=True)
    for clip in clips:
        assert clip["errors"]["first"] == clip["errors"]["second"]
        assert clip["arrays"]["1/rendered"]["shape"] == [2, 8, 8, 1]
        assert clip["arrays"]["0/mean"]["shape"][0] == 2
    ids = {clip["title"].rpartition(" ")[2] for clip in clips}
    assert len(ids) == 3
    assert ids < {"16", "17", "18", "19"}


def test_the_same_runs_give_the_same_bytes(page, folders, tmp_path, capsys):
    runs = (folders / "first", folders / "second")
    report_runs(runs, out=tmp_path / "again.html", clips=3, batch_size=4)
    assert (tmp_path / "again.html").read_bytes() == page.read_bytes()
    assert f"report: {tmp_path / 'again.html'}\n" in capsys.readouterr().out


def test_a_run_without_figures_shows_its_training_clips(finished):
    folder, task, state = finished
    task = task._replace(test=None, holdout=None)
    assert measured_split(task) == "train"
    evaluated = Evaluated(task, state.variables(), {}, folder / "no such file", "last")
    runs, clips = explore({"run": evaluated}, split="train", clips=2, batch_size=4)
    assert [clip.title for clip in clips] == ["clip 0", "clip 1"]
    dataset = dataclasses.replace(task.dataset, clip_name=lambda clip: f"a.avi, frame {clip}")
    named = dataclasses.replace(evaluated, task=task._replace(dataset=dataset))
    _, clips = explore({"run": named}, split="train", clips=2, batch_size=4)
    assert [clip.title for clip in clips] == ["a.avi, frame 0", "a.avi, frame 1"]
    assert runs["run"].figures == {}
    assert runs["run"].curves == {}
    assert "position_std" in runs["run"].statistics
    with pytest.raises(ValueError, match="clips=0: expected 1 or more"):
        explore({"run": evaluated}, split="train", clips=0, batch_size=4)


@pytest.mark.parametrize(
    ("protocol", "split", "compares"),
    [("openstl", "test", True), ("standard", "test", False), ("openstl", "train", False)],
)
def test_published_rows_where_figures_compare(finished, monkeypatch, protocol, split, compares):
    folder, task, state = finished
    recipe = dataclasses.replace(task.recipe, dataset="taxibj", protocol=protocol)
    task = task._replace(recipe=recipe)
    evaluated = Evaluated(task, state.variables(), {}, folder / "no such file", "last")
    about = {"dataset": "taxibj", "horizon": 2, "protocol": protocol, "errors": "", "note": "n"}
    pages = []
    monkeypatch.setattr(command, "save_page", lambda _, content: pages.append(content) or 1)
    described = {**about, "split": split, "checkpoint": "last"}
    write_report(folder, {"a run": evaluated}, {"a run": described}, clips=1, batch_size=4)
    (content,) = pages
    assert bool(content.published) is compares
    assert content.title == "a run on taxibj"
    assert content.notes == ["n"]
    assert content.runs["a run"].defaults["dataset"] == "taxibj"


@pytest.mark.parametrize(
    ("count", "chosen", "names"),
    [
        (1, [3], ["worst"]),
        (3, [3, 2, 1], ["worst", "median", "best"]),
        (9, [3, 0, 2, 4, 1], ["worst", "2 of 5", "median", "4 of 5", "best"]),
    ],
)
def test_choice_of_clips(count, chosen, names):
    found = choose(np.array([4.0, 1.0, 3.0, 5.0, 2.0]), count)
    assert list(found) == chosen
    assert [name.split(":")[0] for name in found.values()] == names


@pytest.mark.parametrize(
    ("runs", "options", "message"),
    [
        ((), {}, "no run folder is given"),
        (
            ("first",),
            {"out": "report.htm"},
            r"out='report.htm': expected a name that ends in .html",
        ),
        (("first",), {"clips": 0}, "clips=0: expected 1 or more"),
        (("first",), {"batch_size": 0}, "batch_size=0: expected 1 or more"),
        (("first", "first"), {}, "first is given twice"),
    ],
)
def test_refused(folders, monkeypatch, runs, options, message):
    monkeypatch.chdir(folders)
    options = {k: Path(v) if k == "out" else v for k, v in options.items()}
    with pytest.raises(ValueError, match=message):
        report_runs(tuple(map(Path, runs)), **options)
    assert not (folders / "report.html").exists()


def test_results_stand_without_a_page_that_gets_too_large(tmp_path, monkeypatch, capsys):
    def refuse(out, *_, **__):
        raise TooLargeError(f"path={str(out)!r}: too large")

    monkeypatch.setattr(command, "write_report", refuse)
    command.write_beside(tmp_path / "report.html", {}, {})
    assert "note: no report is written: path=" in capsys.readouterr().out
