"""Two processes do what one does: training, validation, checkpoints, scores, predictions."""

import json

import numpy as np
import pytest
from one_of_several import PARTS, train

from experiments.launched import ROOT, run
from pdr_jax.runs.saved import Saved

pytestmark = pytest.mark.rest


def figures(run):
    """The lines of metrics.jsonl, without times."""
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [{k: v for k, v in line.items() if "second" not in k} for line in lines]


@pytest.mark.parametrize("part", PARTS)
def test_two_processes_do_what_one_does(part, tmp_path):
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
    words = [str(ROOT / "tests/one_of_several.py"), part, "two"]
    first, second = run(words, cwd=tmp_path, flags="--xla_backend_optimization_level=0")
    assert "printed by 0" in first.out
    assert not [line for line in second.out.splitlines() if "Gloo" not in line]
    for index in range(2):
        agreed = json.loads((tmp_path / f"two/agreed-{index}.json").read_text())
        assert agreed["cast"] == [[0, 0], [15, 0]]  # both hear of it, at the same step
        assert agreed["refused"] == "these: part.own is not the same in all processes"
        assert agreed["whole"] == [0, 1]
    train(part, tmp_path / "one", devices=2)
    one, two = tmp_path / "one" / part, tmp_path / "two" / part
    assert len(figures(two)) == 6
    for ours, theirs in zip(figures(one), figures(two), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-6)
    ours, theirs = (json.loads((each / "measured.json").read_text()) for each in (one, two))
    assert sorted(ours["ids"]) == sorted(theirs["ids"])
    np.testing.assert_allclose(ours["values"], theirs["values"], rtol=1e-3)
    for name, row in ours["rows"].items():
        assert row == pytest.approx(theirs["rows"][name], rel=1e-3), name
    futures = [np.load(each / "future.npy").astype(int) for each in (one, two)]
    assert futures[0].shape == (3, 2, 8, 8, 1)
    assert np.abs(futures[0] - futures[1]).max() <= 1  # rounded to uint8
    assert Saved(one / "checkpoints").steps == Saved(two / "checkpoints").steps == [2, 4]
