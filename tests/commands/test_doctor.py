"""`pdr doctor` shows what a bug report needs, in columns that a narrow terminal keeps."""

import platform
import sys
from importlib import metadata

import jax
import pytest

from pdr_jax.commands import doctor, main
from pdr_jax.commands.columns import print_columns


@pytest.fixture
def terminal(monkeypatch):
    """Makes standard output a terminal of so many columns."""

    def narrow(columns):
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        monkeypatch.setenv("COLUMNS", str(columns))

    return narrow


@pytest.mark.parametrize("folder", ["prepared", "nowhere"])
def test_a_report_has_what_is_asked_of_one(folder, tmp_path, monkeypatch, capsys):
    build = tmp_path / "prepared/kth/64x64_10to20/1.0.0"
    build.mkdir(parents=True)
    (build / "dataset_info.json").write_text("{}")
    monkeypatch.setenv("PDR_DATA_DIR", str(tmp_path / folder))
    monkeypatch.setattr(doctor, "kernels", lambda _: 0)
    main(["doctor"])
    shown = capsys.readouterr().out
    for part in (
        *(f"Python        {platform.python_version()}", f"jax {jax.__version__}"),
        *(f"pdr-jax       {metadata.version('pdr-jax')}", "extra data    ", "GiB free"),
        f"PDR_DATA_DIR  {tmp_path / folder}",
    ):
        assert part in shown
    assert "MISSING" not in shown
    assert ("kth/64x64_10to20/1.0.0, 0.000 GiB" in shown) == (folder == "prepared")
    assert ("not made yet" in shown) == (folder == "nowhere")


def test_columns_fit_a_narrow_terminal(terminal, capsys):
    rows = [("kth", "ok", "human actions, " * 6), ("weatherbench", "BROKEN", "the atmosphere")]
    print_columns(rows, (14, 8))
    wide = capsys.readouterr().out.splitlines()
    assert [len(line) > 60 for line in wide] == [True, False]  # a pipe's lines are not wrapped
    for columns in (60, 40):
        terminal(columns)
        print_columns(rows, (14, 8))
        lines = capsys.readouterr().out.splitlines()
        assert max(map(len, lines)) <= columns
        assert " ".join(" ".join(lines).split()) == " ".join(" ".join(wide).split())
        assert (lines[-1] == "  the atmosphere") == (columns == 40)  # there is no room beside
