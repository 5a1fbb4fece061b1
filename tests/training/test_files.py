"""Files that appear whole or not at all."""

import json

import pytest

from pdr_jax.files import replacing, write_json


def test_json_is_strict(tmp_path):
    figures = {"psnr": float("inf"), "curve": [1.0, float("nan")], "clips": 3}
    write_json(tmp_path / "a.json", figures)
    written = json.loads((tmp_path / "a.json").read_text())
    assert written == {"psnr": None, "curve": [1.0, None], "clips": 3}


def test_a_write_that_fails_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write():
        with replacing(path) as partial:
            partial.write_text("ne")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
