"""The README's code runs, and its table has every model type."""

import re
import textwrap
from pathlib import Path

import numpy as np
import pytest

from pdr_jax import interop

README = (Path(interop.__file__).parent / "README.md").read_text()
BLOCKS = [
    textwrap.dedent(block) for block in re.findall(r"```python\n(.*?)^ *```", README, re.M | re.S)
]


@pytest.mark.rest
def test_weights_go_out_and_come_back(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scope = {}
    exec(BLOCKS[0], scope)
    assert scope["prediction"].shape == (1, 4, 32, 32, 2)
    with np.load("tau.npz") as file:
        assert set(file.files) == set(scope["state_dict"])


def test_counterparts_of_variables_are_listed(capsys):
    exec(BLOCKS[1], {})
    assert "params/readout/kernel -> conv_last.weight (32, 8, 1, 1)" in capsys.readouterr().out


def test_the_table_has_every_model_type():
    rows = [line for line in README.splitlines() if line.startswith("|")]
    assert sorted(re.findall(r"`(\w+)`", "".join(rows))) == sorted(interop.names())
