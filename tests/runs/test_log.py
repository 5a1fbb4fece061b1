"""The log of a run, and the check of the losses between two lines."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from pdr_jax.runs.log import RunLog
from pdr_jax.runs.pace import DivergedError, Pace


def test_a_log_is_rewound_whole_or_not_at_all(tmp_path, monkeypatch):
    log = tmp_path / "metrics.jsonl"
    log.write_text('{"step": 1}\n{"step": 2}\n{"st')
    before = log.read_text()

    def fail(*_):
        raise OSError("no space left")

    with RunLog(tmp_path, warnings.warn) as opened:
        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", fail)
            with pytest.raises(OSError, match="no space left"):
                opened.rewind(1)
        assert log.read_text() == before
        opened.rewind(1)
    assert log.read_text() == '{"step": 1}\n'
    assert [path.name for path in tmp_path.glob(".partial*")] == []


@pytest.mark.parametrize(("last", "good"), [(0, "step 0"), (None, "none yet")])
def test_the_last_good_checkpoint_is_named(last, good):
    """Step 0 is the checkpoint of imported weights."""
    pace = Pace(None, frames_per_step=1)
    pace.add(3, np.array([0]), {"loss": np.float32("nan")})
    with pytest.raises(DivergedError, match=f"last good checkpoint: {good}"):
        pace.figures(lambda: last)
