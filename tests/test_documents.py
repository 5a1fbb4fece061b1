"""The README's code runs, and its tables are those of the committed results."""

import re
from pathlib import Path

from experiments import tables

ROOT = Path(__file__).parent.parent


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
