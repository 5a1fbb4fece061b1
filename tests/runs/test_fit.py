"""Small runs: their files, and that a resumed run gives the numbers of an uninterrupted one."""

import dataclasses
import json
import threading

import jax
import numpy as np
import pytest
from flax import linen as nn

from pdr_jax import PDR
from pdr_jax.evaluation.measuring import score
from pdr_jax.files import write_json
from pdr_jax.runs.checkpoints import Checkpoints
from pdr_jax.runs.fit import fit
from pdr_jax.runs.folder import read_recipe
from pdr_jax.runs.pace import DivergedError
from pdr_jax.runs.state import load
from pdr_jax.task import open_task


@pytest.fixture(scope="module")
def task(small_recipe, small_dataset):
    return open_task(small_recipe, small_dataset)


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def assert_same(ours, theirs):
    for one, two in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_array_equal(one, two)


def test_the_log_has_every_step_and_every_checkpoint(finished, small_recipe):
    folder, task, _ = finished
    assert read_recipe(folder) == small_recipe
    logged = lines(folder)
    losses = [line for line in logged if "loss" in line]
    assert [line["step"] for line in losses] == [1, 2, 3, 4]
    assert all(np.isfinite(line["loss"]) and line["learning_rate"] > 0 for line in losses)
    assert {"grad_norm", "grad_norm/position", "frames_per_second"} <= set(losses[0])
    saved = [line for line in logged if "holdout_mse" in line]
    assert [line["step"] for line in saved] == [2, 4]
    assert {"sigma_p50", "position_std", "gate_mean", "track_speed"} <= set(saved[0])
    assert len(task.train) + len(task.holdout) == 16
    assert len(task.holdout) == 3


def test_the_best_and_the_last_checkpoint_are_kept(finished, small_dataset):
    folder, _, state = finished
    saved = [line for line in lines(folder) if "holdout_mse" in line]
    with Checkpoints(folder / "checkpoints") as checkpoints:
        assert checkpoints.last == 4
        best = min(saved, key=lambda line: line["holdout_mse"])["step"]
        assert checkpoints.best == best
    _, restored = load(folder, dataset=small_dataset, which="last")
    assert_same(state, restored)


def test_a_resumed_run_repeats_the_uninterrupted_one(finished, task, tmp_path):
    folder, _, state = finished
    # The folder of a run that was interrupted before its first checkpoint, in the middle of a line.
    stopped = tmp_path / "stopped"
    (stopped / "checkpoints").mkdir(parents=True)
    write_json(stopped / "recipe.json", task.recipe.to_json())
    (stopped / "metrics.jsonl").write_text('{"step": 1, "loss": 9.0}\n{"step": 2, "lo')

    def stop(figures):
        if figures["step"] == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(task, stopped, resume=True, report=stop)
    log = stopped / "metrics.jsonl"
    log.write_text(log.read_text() + '{"step": 4, "lo')
    with pytest.raises(FileExistsError, match="resume"):
        fit(task, stopped)
    assert_same(state, fit(task, stopped, resume=True))
    for ours, theirs in zip(lines(folder), lines(stopped), strict=True):
        for timing in ("frames_per_second", "seconds_left"):
            ours.pop(timing, None), theirs.pop(timing, None)
        assert ours == theirs


def test_a_run_without_checkpoints_is_not_overwritten(task, tmp_path):
    recipe = task.recipe
    write_json(tmp_path / "recipe.json", recipe.to_json() | {"seed": 7})
    with pytest.raises(FileExistsError, match=r"another run already \(seed=0, there 7\)"):
        fit(task, tmp_path)
    write_json(tmp_path / "recipe.json", recipe.to_json())
    log = tmp_path / "metrics.jsonl"
    log.write_text('{"step": 1, "loss": 9.0}\n')
    with pytest.raises(FileExistsError, match="holds this run already; resume it"):
        fit(task, tmp_path)
    assert log.read_text() == '{"step": 1, "loss": 9.0}\n'
    assert read_recipe(tmp_path) == recipe


class Repeat(nn.Module):
    """A user's own model, quick to compile: it learns a factor for the last frame."""

    @nn.compact
    def __call__(self, frames, horizon=None, *, train=False):
        gain = self.param("gain", nn.initializers.ones, (1, 1, 1, 1, 1))
        return gain * frames[:, -1:].repeat(horizon or frames.shape[1], axis=1)


def test_a_loss_that_is_not_finite_stops_the_run(small_recipe, small_dataset, tmp_path):
    wild = dataclasses.replace(
        small_recipe, learning_rate=1e38, schedule="constant", save_every=1, adapter="none"
    )
    with pytest.raises(DivergedError, match=r"after step 1; last good checkpoint: none yet"):
        fit(open_task(wild, small_dataset, PDR(Repeat())), tmp_path / "wild")


def test_too_few_clips_are_refused(small_recipe, small_dataset, tmp_path):
    large = dataclasses.replace(small_recipe, batch_size=64)
    with pytest.raises(ValueError, match="batch_size=64: expected at most the 13"):
        fit(open_task(large, small_dataset), tmp_path / "few")
    assert not (tmp_path / "few").exists()
    with pytest.raises(FileNotFoundError, match="no run folder"):
        load(tmp_path)


def test_your_own_model(small_recipe, small_dataset, tmp_path):
    plain = dataclasses.replace(small_recipe, adapter="none", ema_decay=0.0, holdout=0.0)
    model = PDR(Repeat())
    task = open_task(plain, small_dataset, model)
    assert task.holdout is None
    state = fit(task, tmp_path / "own")
    assert float(state.params["backbone"]["gain"].reshape(())) != 1
    task, restored = load(tmp_path / "own", dataset=small_dataset, model=model)
    rows = score(task, restored.variables(), label="own")
    assert list(rows) == ["own", "persistence"]


def test_a_run_that_fails_ends_its_readers(task, tmp_path):
    """Though the traceback still holds the iterator."""

    def report(figures):
        raise InterruptedError

    others = set(threading.enumerate())
    with pytest.raises(InterruptedError) as caught:
        fit(task, tmp_path / "run", report=report)
    readers = [t for t in set(threading.enumerate()) - others if "grain-prefetch" in t.name]
    for thread in readers:
        thread.join(timeout=60)
        assert not thread.is_alive()
    assert caught.tb is not None
