"""`pdr data prepare` says when the files are not those that the build was made of."""

import numpy as np
import pytest

from pdr_datasets import originals
from pdr_jax.commands import main

HOURS = [np.datetime64(year, "h") + np.arange(12) for year in ("2012", "2013")]
TIME = [f"{hour:%Y%m%d%H}" for hours in HOURS for hour in hours.tolist()]
FLOW = np.arange(24 * 256).reshape(24, 2, 16, 8).astype(np.uint16)


@pytest.fixture
def prepare(tmp_path, capsys):
    """Prepares TaxiNYC from a folder below `tmp_path`; what is said."""

    def run(folder):
        place = ["--data-dir", str(tmp_path / "data"), "--manual-dir", str(tmp_path / folder)]
        main(["data", "prepare", "taxinyc", *place])
        return capsys.readouterr().out

    for folder in ("in", "elsewhere"):
        (tmp_path / folder).mkdir()
        np.savez(tmp_path / folder / "taxinyc_flow.npz", flow=FLOW, time=TIME)
    return run


def test_other_files_are_noticed(prepare, tmp_path):
    assert "prepared: " in prepare("in")
    assert "other files" not in prepare("in")
    (tmp_path / "elsewhere/.DS_Store").write_text("of macOS")
    assert "other files" not in prepare("elsewhere")  # the same ones in another place
    (tmp_path / "elsewhere/notes").mkdir()
    (tmp_path / "elsewhere/taxinyc_flow.npz").write_bytes(b"")
    said = prepare("elsewhere")
    assert "remove that folder to build it anew" in said
    assert f"it was made of other files than those in {tmp_path / 'elsewhere'} now: " in said
    assert "1 new (notes), 1 changed (taxinyc_flow.npz)" in said


def test_a_build_without_a_listing_is_not_compared(tmp_path):
    (tmp_path / "clips").mkdir()
    assert originals.difference(tmp_path, tmp_path / "clips") == ""
    (tmp_path / "clips/a.avi").write_bytes(b"123")
    (tmp_path / "clips/below").mkdir()
    (tmp_path / "clips/below/b.avi").write_bytes(b"1")
    originals.record(tmp_path, {"a.avi": [1, 3], "gone.avi": [1, 2], "below": [1, 1]})
    assert originals.difference(tmp_path, tmp_path / "clips") == "1 gone (gone.avi)"
    assert originals.difference(tmp_path, "https://elsewhere") == ""
