"""The README's code runs, and what tables and words say of the results is in the results."""

import json
import re
from pathlib import Path

import pytest

from experiments import backbone_tables, markdown, study_tables, tables
from experiments.backbones import BACKBONES, by_arm
from experiments.provenance import RESULTS

ROOT = Path(__file__).parents[2]


def test_the_readmes_python_runs():
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 2
    names = {}
    for block in blocks:
        exec(block, names)
    assert names["prediction"].shape == (2, 4, 32, 32, 2)
    assert names["output"].rendered.shape == (2, 6, 32, 32, 2)
    assert names["image"].shape == (24, 40, 3)
    assert float(names["image"].max()) > 0.9


def test_the_tables_are_those_of_the_results():
    assert tables.README.read_text() == tables.document()
    kernels = tables.KERNELS_README.read_text()
    assert kernels == tables.kernels_document(kernels)


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
        ("bikenyc", "mse_ddr", "model, mean Y", study_tables.ON_FLOW, 3),
        ("era5", "mse_ddr", PLAIN, ("rmse",), 0),
        ("era5", "l1_ssim", PLAIN, ("rmse",), 0),
        *(("era5", "l1_ssim", other, ("ssim_range1", "spectral_energy"), 3)
          for other in (PLAIN, AFFINE, WIDE)),
    ],
)  # fmt: skip
def test_what_is_said_of_pdr_is_in_the_results(study, loss, other, figures, seeds):
    """With how many seeds it is ahead, in README.md and in experiments/README.md."""
    kth = study == "kth_person01"
    runs = results(study)["runs"] if kth else results("flow_and_weather")[study]
    horizon = next(iter(runs[0]["scores"]))
    other = f"{other}, {loss}" if other.startswith("plain") else other
    arm = f"PDR conv, {loss}"
    for figure in figures:
        assert study_tables.ahead(runs, horizon, arm, other, figure) == seeds, figure


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
                found = study_tables.ahead(runs, horizon, label, "persistence", figure)
                assert found == passed, (label, figure)


def test_what_is_said_of_eleven_backbones_is_in_the_results():
    result = results("backbones_era5")
    assert len(BACKBONES) == 11
    assert result["seeds"] == [0]
    lines = {
        line[2:].partition(":")[0]: {
            name: int(count) for name, count in re.findall(r"(\w+) in (\d+)", line)
        }
        for line in backbone_tables.reading(by_arm(result["runs"])).splitlines()
        if line.startswith("* ")
    }
    for base in ("plain, mse", "plain, l1_ssim"):
        assert lines[base]["ssim_range1"] >= 10
        assert lines[base]["spectral_energy"] >= 10
    assert lines["plain, mse"]["rmse"] > 11 / 2 > lines["plain, l1_ssim"]["rmse"]


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
        other: [study_tables.ahead(runs, "1 -> 1", "a", other, name) for name in runs[0]["scores"]
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
