"""A folder with weights to import."""

import pytest
from imported_runs import fill


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with clips.npy, and the weights in theirs.npz; commands run in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PDR_DATA_DIR", str(tmp_path / "data"))
    return fill(tmp_path)
