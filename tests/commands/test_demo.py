"""`pdr demo`."""

import functools
import json

import pytest
from small_runs import SMALL

from pdr_jax import recipes
from pdr_jax.commands import main


@pytest.mark.rest
def test_demo(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PDR_DATA_DIR", str(tmp_path / "data"))
    small = functools.partial(
        recipes.create,
        backbone="simvp_convmixer",  # it compiles fastest
        in_length=2,
        out_length=2,
        backbone_options=SMALL["backbone_options"],
        devices=1,
        data_options={"size": 16, "channels": 1, "num_train": 24, "num_test": 8},
    )
    monkeypatch.setattr(recipes, "create", small)
    main(["demo", "--steps", "2", "--size", "16", "--out", str(tmp_path / "demo")])
    printed = capsys.readouterr().out
    for row in ("simvp_convmixer", "simvp_convmixer + predgs", "persistence", "sharpness"):
        assert row in printed
    figures = json.loads((tmp_path / "demo/metrics.json").read_text())
    assert {"simvp_convmixer", "simvp_convmixer + predgs", "persistence"} <= set(figures["rows"])
    for picture in ("side_by_side", "tracks"):
        assert (tmp_path / f"demo/{picture}.png").exists()
    assert (tmp_path / "demo/report.html").stat().st_size > 10_000
    assert printed.endswith(f"report: {tmp_path / 'demo/report.html'}\n")
