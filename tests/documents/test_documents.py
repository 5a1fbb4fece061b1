"""The README's code runs; tables are those of the results, and sentences agree with them."""

import json
import re
from pathlib import Path

import pytest

from experiments import tables
from experiments.backbones import BACKBONES
from experiments.pages import arms, backbones, markdown, studies
from experiments.provenance import RESULTS
from pdr_jax import predgs

ROOT = Path(__file__).parents[2]


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
    in_kernels = {"cpu_splat2d", "compile_check"}
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


ERRORS_AND_SSIM = ("mse", "mae", "psnr", "ssim", "ssim_range1")
LOOKS = ("sharpness", "st_lpips_alex")
PLAIN, AFFINE, WIDE = "plain", "plain + affine", "plain, as large as PDR"


@pytest.mark.parametrize(
    ("study", "loss", "other", "figures", "seeds"),
    [
        ("kth_person01", "l1_ssim", PLAIN, (*ERRORS_AND_SSIM, *LOOKS), 2),
        ("kth_person01", "l1_ssim", WIDE, ERRORS_AND_SSIM, 0),
        ("kth_person01", "mse", AFFINE, ERRORS_AND_SSIM, 0),
        ("kth_person01", "mse", WIDE, ERRORS_AND_SSIM, 0),
        ("kth_person01", "mse", AFFINE, LOOKS, 2),
        ("kth_person01", "mse", WIDE, LOOKS, 2),
        ("kth_person01", "mse", "persistence", ("ssim_range1", *LOOKS), 0),
        ("kth_person01", "l1_ssim", "persistence", LOOKS, 0),
        ("bikenyc", "mse_ddr", PLAIN, ("sharpness", "spectral_energy", "diversity"), 3),
        ("bikenyc", "mse_ddr", PLAIN, ("mae",), 0),
        ("bikenyc", "mse_ddr", AFFINE, ("rmse", "mae"), 0),
        ("bikenyc", "mse_ddr", WIDE, ("rmse", "mae"), 3),
        ("bikenyc", "mse_ddr", "model, mean Y", studies.ON_FLOW, 3),
        ("era5", "mse_ddr", PLAIN, ("rmse",), 0),
        ("era5", "l1_ssim", PLAIN, ("rmse",), 0),
        *(("era5", "l1_ssim", other, ("ssim_range1", "spectral_energy"), 3)
          for other in (PLAIN, AFFINE, WIDE)),
    ],
)  # fmt: skip
def test_what_is_said_of_pdr_is_in_the_results(study, loss, other, figures, seeds):
    """The number of seeds with which PDR is ahead, for each sentence of README.md and the pages."""
    kth = study == "kth_person01"
    runs = results(study)["runs"] if kth else results("flow_and_weather")[study]
    horizon = next(iter(runs[0]["scores"]))
    other = f"{other}, {loss}" if other.startswith("plain") else other
    arm = f"PDR conv, {loss}"
    for figure in figures:
        assert arms.ahead(runs, horizon, arm, other, figure) == seeds, figure


def test_what_is_said_of_every_arm_is_in_the_results():
    for study, losses, figures, passed in (
        ("kth_person01", ("mse", "l1_ssim"), LOOKS, 0),
        ("kth_person01", ("mse",), ("ssim_range1",), 0),
        ("era5", ("mse_ddr", "l1_ssim"), ("rmse", "mae"), 3),
    ):
        kth = study == "kth_person01"
        runs = results(study)["runs"] if kth else results("flow_and_weather")[study]
        horizon = next(iter(runs[0]["scores"]))
        for label in {run["label"] for run in runs if run["label"].endswith(losses)}:
            for figure in figures:
                found = arms.ahead(runs, horizon, label, "persistence", figure)
                assert found == passed, (label, figure)


def test_what_is_said_of_eleven_backbones_is_in_the_results():
    result = results("backbones_era5")
    assert len(BACKBONES) == 11
    assert result["seeds"] == [0]
    lines = {base: backbones.gains(result["runs"], base) for base in backbones.BASES}
    for counts in lines.values():
        assert counts["ssim_range1"] >= 10
        assert counts["spectral_energy"] >= 10
    assert lines["plain, mse"]["rmse"] > 11 / 2 > lines["plain, l1_ssim"]["rmse"]


def test_what_is_said_of_the_adapters_is_in_the_results():
    result = results("adapters")
    sizes = {run["label"]: run["parameters"] for run in result["era5"]}
    conv, robust, plain = (f"{name}, l1_ssim" for name in ("PDR conv", "PDR robust", "plain"))
    assert sizes[conv] == min(sizes[f"PDR {preset}, l1_ssim"] for preset in predgs.PRESETS)
    for runs, horizon, shown in (
        (result["kth"], "10 -> 10", studies.SHOWN),
        (result["era5"], "12 -> 12", studies.ON_ERA5),
    ):
        ahead = [arms.ahead(runs, horizon, conv, plain, metric) for metric in shown]
        assert sum(count == 2 for count in ahead) > len(shown) / 2
    over_conv = {
        metric: arms.ahead(result["kth"], "10 -> 10", robust, conv, metric)
        for metric in ("mse", "mae", "st_lpips_alex")
    }
    assert over_conv == {"mse": 2, "mae": 2, "st_lpips_alex": 0}
    assert not any(
        arms.ahead(result["era5"], "12 -> 12", robust, plain, metric) for metric in studies.ON_ERA5
    )


def test_arms_of_two_studies_that_share_a_table_are_the_same_runs():
    """The KTH rows of adapters.md stand in kth_person01.md."""
    kth = {(run["label"], run["seed"]): run for run in results("kth_person01")["runs"]}
    shared = [run for run in results("adapters")["kth"] if (run["label"], run["seed"]) in kth]
    assert len(shared) == 6
    assert all(run["scores"] == kth[run["label"], run["seed"]]["scores"] for run in shared)


def test_a_standing_names_what_is_ahead_and_what_is_behind_with_every_seed():
    def run(label, seed, **figures):
        return {"label": label, "seed": seed, "scores": {"1 -> 1": {"model": figures}}}

    runs = [
        run("PDR conv, mse", 0, mse=1.0, mae=3.0, psnr=2.0),
        run("PDR conv, mse", 1, mse=1.0, mae=3.0, psnr=2.0),
        run("plain, mse", 0, mse=2.0, mae=2.0, psnr=1.0),
        run("plain, mse", 1, mse=2.0, mae=2.0, psnr=3.0),
    ]

    def said(*metrics):
        return arms.standing(runs, "1 -> 1", "mse", "plain", metrics)

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
