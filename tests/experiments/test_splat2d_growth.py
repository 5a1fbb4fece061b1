"""The command that measures the cost of splat2d against each size."""

import json
import sys

from experiments import splat2d_growth
from experiments.pages import kernels


def test_growth_writes_its_result_and_figure(tmp_path, monkeypatch):
    start = splat2d_growth.ON_CPU._replace(frames=1, height=8, width=8, gaussians=3, window=3)
    monkeypatch.setattr(splat2d_growth, "ON_CPU", start)
    monkeypatch.setattr(splat2d_growth, "CPU_VALUES", {"N": (3, 5)})
    monkeypatch.setattr(splat2d_growth, "RESULTS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["splat2d_growth", "--implementations", "xla", "--repeats=1"])
    splat2d_growth.main()
    result = json.loads((tmp_path / "splat2d_growth_cpu.json").read_text())
    assert [(row["along"], row["value"]) for row in result["rows"]] == [("N", 3), ("N", 5)]
    assert (tmp_path / "figures/splat2d_growth_cpu.png").read_bytes().startswith(b"\x89PNG")
    assert "| N, 3 to 5 | xla |" in kernels.growth(result)
