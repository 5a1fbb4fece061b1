"""The READMEs of packages: their snippets run, and the files that they link are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
READMES = ["pallas_kernels/README.md", "pdr_jax/predgs/README.md"]


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("pallas_kernels/README.md", 4),
        pytest.param("pdr_jax/predgs/README.md", 1, marks=pytest.mark.rest),
        pytest.param("pdr_jax/diffusion/README.md", 1, marks=pytest.mark.rest),
    ],
)
def test_snippets_run(name, count):
    snippets = re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(), re.DOTALL)
    assert len(snippets) == count
    exec("\n".join(snippets), {})


@pytest.mark.parametrize("name", READMES)
def test_linked_files_exist(name):
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", (ROOT / name).read_text())
    assert links
    assert all((ROOT / name).parent.joinpath(link).exists() for link in links)
