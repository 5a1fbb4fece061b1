"""The tutorial runs from top to bottom, and is kept with small outputs.

After a change: `jupyter nbconvert --to notebook --execute --inplace experiments/tutorial.ipynb`.
"""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib import pyplot

NOTEBOOK = Path(__file__).parents[2] / "experiments" / "tutorial.ipynb"


def cells(kind):
    notebook = json.loads(NOTEBOOK.read_text())
    return [cell for cell in notebook["cells"] if cell["cell_type"] == kind]


def source(cell):
    return "".join(cell["source"])


@pytest.mark.rest
def test_its_code_runs(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    names = {}
    pyplot.switch_backend("agg")
    for cell in cells("code"):
        exec(compile(source(cell), "tutorial", "exec"), names)
    pyplot.close("all")
    assert names["large"].shape[2:4] == (96, 96)
    np.testing.assert_array_less(names["losses"][-1], names["losses"][0])


def test_its_outputs_are_kept_and_small():
    assert all(cell["execution_count"] for cell in cells("code"))
    outputs = [output for cell in cells("code") for output in cell["outputs"]]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 2
    assert not any(output["output_type"] == "error" for output in outputs)
    assert not any(output.get("name") == "stderr" for output in outputs)
    assert NOTEBOOK.stat().st_size < 300_000


def test_its_links_lead_to_files():
    text = "".join(map(source, cells("markdown")))
    for target in re.findall(r"\]\(([^)]+)\)", text):
        assert (NOTEBOOK.parent / target).exists(), target
