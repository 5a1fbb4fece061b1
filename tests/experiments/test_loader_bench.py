"""The loader's benchmark: every data set has files to measure, and a row says what was measured."""

import json
import sys

import pytest

import pdr_datasets
from experiments import loader_bench
from experiments.loader_files import WRITERS


def test_every_data_set_is_measured():
    assert sorted(WRITERS) == list(pdr_datasets.names())


@pytest.mark.parametrize(
    ("name", "clip"), [("arrays", [20, 64, 64, 1]), ("kth", [30, 128, 128, 1])]
)
def test_a_row(tmp_path, monkeypatch, name, clip):
    monkeypatch.setattr(
        loader_bench, "make_step", lambda recipe, dataset, batch: (lambda *place: 2.0, batch)
    )
    row = loader_bench.measure(name, tmp_path, None, 0.01)
    assert (row["data"], row["clip"], row["dtype"]) == (name, clip, "uint8")
    assert list(row["pipeline"]) == ["0", "1", "4"]
    assert all(rate > 0 for rate in row["pipeline"].values())
    assert row["step"] == 2
    assert row["resident"]["mib"] <= row["resident"]["clips_mib"]
    assert row["resident"]["gathered"] > 0


def test_rows_that_are_not_measured_keep_their_record(tmp_path, monkeypatch):
    monkeypatch.setattr(loader_bench, "measure", lambda name, *rest: {"data": name})
    path = tmp_path / "loader.json"
    kept = {"data": "kth", "record": {"command": "earlier"}}
    path.write_text(json.dumps({"rows": [kept]}))
    monkeypatch.setattr(sys, "argv", ["loader_bench", "--only", "arrays", "--output", str(path)])
    loader_bench.main()
    (content,) = json.loads(path.read_text()).values()
    assert [row["data"] for row in content] == ["arrays", "kth"]
    assert content[1] == kept
    assert "--only arrays" in content[0]["record"]["command"]
