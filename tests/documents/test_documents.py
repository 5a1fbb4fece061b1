"""The README's code runs; tables are those of the results, and sentences agree with them."""

import json
import re
from pathlib import Path

import pytest

from experiments import tables
from experiments.backbones import BACKBONES
from experiments.judged import SETTINGS
from experiments.pages import arms, backbones, markdown
from experiments.provenance import RESULTS

ROOT = Path(__file__).parents[2]


@pytest.mark.rest
def test_the_readmes_python_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 3
    names = {}
    for block in blocks:
        exec(block, names)
    assert names["prediction"].shape == (2, 4, 32, 32, 2)
    assert names["output"].rendered.shape == (2, 6, 32, 32, 2)
    assert names["image"].shape == (24, 40, 3)
    assert float(names["image"].max()) > 0.9
    assert int(names["state"].step) == names["recipe"].steps
    assert (tmp_path / "runs/mine/recipe.json").exists()


@pytest.fixture(scope="module")
def documents():
    return tables.documents()


def test_documents_are_those_generated_from_the_results(documents):
    for path, text in documents.items():
        assert path.read_text() == text, f"{path.name}: run python -m experiments.tables"


def test_every_result_has_a_page_or_a_part_of_the_kernels_readme():
    found = tables.load()
    in_kernels = {"cpu_splat2d", "compile_check", "predicted_splat2d"}
    assert set(tables.pages(found)) == set(found) - in_kernels
    assert {path.stem for path in RESULTS.glob("*.md")} == set(tables.pages(found))


def test_links_of_generated_documents_lead_to_files(documents):
    for path, text in documents.items():
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
            assert "://" in target or (path.parent / target).exists(), (path, target)


def test_only_the_part_between_the_marks_is_replaced():
    marks = ("<begin>\n", "<end>\n")
    assert tables.between(marks, "a\n<begin>\nold\n<end>\nb\n", "new\n") == (
        "a\n<begin>\nnew\n<end>\nb\n"
    )
    with pytest.raises(ValueError, match="<end>"):
        tables.between(marks, "a\n<begin>\n", "new\n")


def results(name):
    return json.loads((RESULTS / f"{name}.json").read_text())


def test_what_is_said_of_eleven_backbones_is_in_the_results():
    result = results("backbones_era5")
    assert len(BACKBONES) == 11
    assert result["seeds"] == [0]
    lines = {base: backbones.gains(result["runs"], base) for base in backbones.BASES}
    for counts in lines.values():
        assert counts["ssim_range1"] >= 10
        assert counts["spectral_energy"] >= 10
    assert lines["plain, mse"]["rmse"] > 11 / 2 > lines["plain, l1_ssim"]["rmse"]


@pytest.mark.parametrize("path", sorted(RESULTS.glob("judge_*.json")), ids=lambda path: path.stem)
def test_the_judges_pages_show_every_run(path, documents):
    result = json.loads(path.read_text())
    assert result["data"] in SETTINGS
    page = documents[path.with_suffix(".md")]
    main = result["parts"]["main"]
    assert len({run["seed"] for run in main["runs"]}) >= 3
    for part in result["parts"].values():
        for run in part["runs"]:
            assert f"| {run['parameters']:,} |" in page
            assert run["label"] in page


def test_a_standing_names_what_is_ahead_and_what_is_behind_with_every_seed():
    def run(label, seed, **figures):
        return {"label": label, "seed": seed, "scores": {"1 -> 1": {"model": figures}}}

    runs = [
        run("PDR conv", 0, mse=1.0, mae=3.0, psnr=2.0),
        run("PDR conv", 1, mse=1.0, mae=3.0, psnr=2.0),
        run("plain", 0, mse=2.0, mae=2.0, psnr=1.0),
        run("plain", 1, mse=2.0, mae=2.0, psnr=3.0),
    ]

    def said(*metrics):
        return arms.standing(runs, "1 -> 1", "PDR conv", "plain", metrics)

    assert said("mse") == "ahead of plain in every figure"
    assert said("mse", "psnr") == "ahead of plain in mse"
    assert said("mae", "psnr") == "behind plain in mae"
    assert said("psnr") == "in no figure ahead of plain with every seed, and in none behind"
    assert said("mse", "mae", "psnr") == "ahead of plain in mse, and behind in mae"


def test_a_spread_is_the_mean_and_the_span():
    assert markdown.spread([1.0, 2.0]) == "1.500 (1.000 to 2.000)"
    assert markdown.spread([12345.6]) == "12,346"


def test_a_figure_is_ahead_where_it_is_better():
    def run(label, seed, **figures):
        rows = {"model": figures, "persistence": {"mse": 2.0, "psnr": 20.0, "sharpness": 1.0}}
        return {"label": label, "seed": seed, "scores": {"1 -> 1": rows}}

    runs = [
        run("a", 0, mse=1.0, psnr=30.0, sharpness=1.2),
        run("a", 1, mse=3.0, psnr=10.0, sharpness=0.5),
        run("b", 0, mse=2.0, psnr=30.0, sharpness=0.9),
        run("b", 1, mse=4.0, psnr=9.0, sharpness=1.6),
    ]
    counted = {
        other: [arms.ahead(runs, "1 -> 1", "a", other, name) for name in runs[0]["scores"]
                ["1 -> 1"]["model"]]
        for other in ("b", "persistence")
    }  # fmt: skip
    assert counted == {"b": [2, 1, 1], "persistence": [1, 1, 0]}


def test_every_record_of_a_results_rows_is_printed():
    result = results("loader_cpu")
    lines = markdown.origin(result).splitlines()
    records = {json.dumps(row["record"]) for row in result["rows"]}
    assert len(lines) == len(records)
    for row in result["rows"]:
        (line,) = [line for line in lines if row["data"] in line.partition(":")[0]]
        assert row["record"]["command"] in line
        assert row["record"]["commit"][:10] in line
