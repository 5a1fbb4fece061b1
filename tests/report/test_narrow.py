"""Tables keep their columns in a narrow terminal, and say what their rows are."""

import re
import sys

import pytest

from pdr_jax import report

NAMES = ("mse", "mae", "psnr", "ssim_range1", "sharpness", "spectral_energy")
ROWS = {label: dict.fromkeys(NAMES, 0.1234) for label in ("tau", "tau + predgs, no rendering")}


@pytest.mark.parametrize(("columns", "tables"), [(40, 5), (60, 3), (160, 1)])
def test_a_table_that_is_too_wide_goes_on_below(columns, tables, monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))
    report.print_table(ROWS, title="kth")
    shown = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert max(map(len, shown.splitlines())) <= columns
    assert sum("────" in line for line in shown.splitlines()) == tables
    assert shown.count("0.1234") == len(ROWS) * len(NAMES)
    assert [name for name in NAMES if name not in shown] == []
    assert shown.count("kth") == 1


def test_ablations_are_explained_and_one_clip_has_no_diversity(capsys):
    nothing = {"mse": float("nan"), "diversity": float("nan")}
    report.print_table({"pdr": nothing, "pdr, mean Y": {"mse": 1.0}}, title="kth")
    *rows, line = capsys.readouterr().out.split("\n")[:-1]
    assert line == "mean Y: the rendered frames Y replaced by their mean"
    assert ["pdr", "nan", "-"] in map(str.split, rows)
