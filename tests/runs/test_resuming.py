"""Resuming: damaged checkpoints, changed recipes and data, signals, states that are not finite."""

import dataclasses
import json
import math
import shutil
import signal

import jax
import log_files
import numpy as np
import pytest
from flax import linen as nn

from pdr_jax import PDR
from pdr_jax.files import write_json
from pdr_jax.runs import saver
from pdr_jax.runs.fit import fit
from pdr_jax.runs.pace import DivergedError
from pdr_jax.runs.saved import DamagedError, Saved
from pdr_jax.runs.state import load
from pdr_jax.task import open_task


class Repeat(nn.Module):
    """A model that is quick to compile: it learns a factor for the last frame."""

    @nn.compact
    def __call__(self, frames, horizon=None, *, train=False):
        gain = self.param("gain", nn.initializers.ones, (1, 1, 1, 1, 1))
        return gain * frames[:, -1:].repeat(horizon or frames.shape[1], axis=1)


MODEL = PDR(Repeat())


@pytest.fixture(scope="module")
def recipe(small_recipe):
    return dataclasses.replace(small_recipe, adapter="none", steps=6, devices=1)


@pytest.fixture(scope="module")
def task(recipe, small_dataset):
    return open_task(recipe, small_dataset, MODEL)


@pytest.fixture(scope="module")
def whole(task, tmp_path_factory):
    """A finished run, and its last state."""
    folder = tmp_path_factory.mktemp("resuming") / "whole"
    return folder, fit(task, folder)


@pytest.fixture(scope="module")
def killed(task, tmp_path_factory):
    """A run that ended in step 5 and has the checkpoints of steps 2 and 4."""
    folder = tmp_path_factory.mktemp("resuming") / "killed"

    def kill(figures):
        if figures["step"] == 5:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        fit(task, folder, report=kill)
    return folder


@pytest.fixture
def run(killed, tmp_path):
    """A copy of the killed run."""
    return shutil.copytree(killed, tmp_path / "run")


def same(ours, theirs):
    pairs = zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True)
    return all(np.array_equal(one, two) for one, two in pairs)


def flip(path, position=-1):
    content = bytearray(path.read_bytes())
    content[position] ^= 4
    path.write_bytes(content)


def largest(folder):
    return max(
        (path for path in folder.rglob("*") if path.is_file()), key=lambda p: p.stat().st_size
    )


def damage(kind, checkpoint):
    if kind == "flipped bit":
        for path in checkpoint.glob("state/**/d/*"):
            flip(path, path.stat().st_size // 2)
    elif kind == "short file":
        data = largest(checkpoint / "state")
        data.write_bytes(data.read_bytes()[:50])
    elif kind == "no state":
        shutil.rmtree(checkpoint / "state")
    elif kind == "empty description":
        (checkpoint / "run/metadata").write_text("")
    elif kind == "another position":
        metadata = checkpoint / "run/metadata"
        metadata.write_text(metadata.read_text().replace('"seed": 0', '"seed": 1'))
    elif kind == "no score":
        shutil.rmtree(checkpoint / "metrics")
    else:
        (checkpoint / "metrics/metrics").write_text('{"score": 0.0}')


DAMAGES = (
    *("flipped bit", "short file", "no state", "empty description"),
    *("another position", "no score", "another score"),
)


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_checkpoint_is_told_and_the_one_before_it_is_used(kind, run, whole, task):
    damage(kind, run / "checkpoints/4")
    before = {p: p.read_bytes() for p in (run / "checkpoints/4").rglob("*") if p.is_file()}
    with pytest.raises(DamagedError, match=r"checkpoint .*checkpoints/4 is damaged: "):
        load(run, dataset=task.dataset, model=MODEL, which="last")
    said = []
    assert same(fit(task, run, resume=True, remark=said.append), whole[1])
    assert "4 is damaged" in said[0]
    assert "goes on from the checkpoint of step 2" in said[0]
    moved = run / "set_aside/4.0"
    assert {p.relative_to(run / "checkpoints/4"): c for p, c in before.items()} == {
        p.relative_to(moved): p.read_bytes() for p in moved.rglob("*") if p.is_file()
    }
    assert Saved(run / "checkpoints").last == 6


def test_no_whole_checkpoint_is_refused_and_nothing_is_moved(run, task):
    for step in ("2", "4"):
        damage("no score", run / "checkpoints" / step)
    with pytest.raises(DamagedError, match=r"no checkpoint is whole: .*/4 .*/2 "):
        fit(task, run, resume=True)
    assert Saved(run / "checkpoints").steps == [2, 4]


def test_another_checkpoint_can_be_chosen(run, whole, task):
    with pytest.raises(FileNotFoundError, match=r"checkpoint=3: .* has steps 2, 4"):
        fit(task, run, resume=True, checkpoint=3)
    said = []
    assert same(fit(task, run, resume=True, checkpoint=2, remark=said.append), whole[1])
    assert said == [f"a checkpoint was moved to {run / 'set_aside/4.0'}"]


def test_a_resumed_run_may_have_other_loggers(run, whole, task):
    logged = task._replace(recipe=dataclasses.replace(task.recipe, log=("tensorboard",)))
    said = []
    assert same(fit(logged, run, resume=True, remark=said.append), whole[1])
    assert said[0] == "since step 4: log=['tensorboard'], was []"
    found = log_files.events(run)
    assert [step for step, _ in log_files.curve(found, "loss")] == [5, 6]
    for name in ("holdout_mse", "clip/animated"):
        assert [step for step, _ in log_files.curve(found, name)] == [6]


def test_an_older_checkpoint_that_was_half_removed_is_set_aside(run, whole, task):
    damage("no score", run / "checkpoints/2")
    assert int(load(run, dataset=task.dataset, model=MODEL, which="last")[1].step) == 4
    said = []
    assert same(fit(task, run, resume=True, remark=said.append), whole[1])
    assert said == [f"a checkpoint was moved to {run / 'set_aside/2.0'}"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_last_step_is_heard(number, whole, task, tmp_path, monkeypatch):
    validate = saver.validate

    def interrupted(task, state, *rest):
        if int(state.step) == 6:
            signal.raise_signal(number)
        return validate(task, state, *rest)

    monkeypatch.setattr(saver, "validate", interrupted)
    with pytest.raises(KeyboardInterrupt if number == signal.SIGINT else SystemExit):
        fit(task, tmp_path / "run", remark=lambda _: None)
    assert Saved(tmp_path / "run/checkpoints").last == 6


def test_an_unfinished_checkpoint_does_not_count(run):
    (run / "checkpoints/9.orbax-checkpoint-tmp").mkdir()
    assert Saved(run / "checkpoints").last == 4
    shutil.rmtree(run / "checkpoints/4")
    shutil.rmtree(run / "checkpoints/2")
    assert Saved(run / "checkpoints").steps == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 7}, "seed=7, was 0"),
        ({"learning_rate": 1e-5}, "learning_rate=1e-05, was"),
        ({"steps": 5}, "steps=5, was 6"),
    ],
)
def test_another_recipe_is_refused_unless_accepted(run, recipe, small_dataset, changes, message):
    changed = open_task(dataclasses.replace(recipe, **changes), small_dataset, MODEL)
    with pytest.raises(ValueError, match=rf"accept_changes=False: since step 4 .*{message}"):
        fit(changed, run, resume=True)
    said = []
    fit(changed, run, resume=True, accept_changes=True, remark=said.append)
    assert any(message in line for line in said)


def test_a_longer_run_and_another_layout_are_told_and_allowed(run, recipe, small_dataset):
    changed = dataclasses.replace(recipe, steps=7, devices=2, log_every=3, renderer="xla")
    said = []
    state = fit(open_task(changed, small_dataset, MODEL), run, resume=True, remark=said.append)
    assert int(state.step) == 7
    assert [line for line in said if "since step 4" in line] == [
        "since step 4: devices=2, was 1",
        "since step 4: log_every=3, was 1",
        "since step 4: renderer='xla', was 'auto'",
        "since step 4: steps=7, was 6",
    ]


def test_replaced_data_are_refused(run, recipe, small_dataset):
    class Darker:
        def __init__(self, source):
            self._source = source

        def __len__(self):
            return len(self._source)

        def __getitem__(self, index):
            sample = self._source[index]
            return {**sample, "frames": sample["frames"] // 2}

    darker = {name: Darker(source) for name, source in small_dataset.splits.items()}
    changed = dataclasses.replace(small_dataset, splits=darker)
    with pytest.raises(ValueError, match=r"accept_changes=False: .*digest: "):
        fit(open_task(recipe, changed, MODEL), run, resume=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_the_step_and_the_run_goes_on_as_if_it_had_not_come(
    number, whole, task, tmp_path
):
    said, before = [], signal.getsignal(number)

    def interrupt(figures):
        if figures["step"] == 3:
            signal.raise_signal(number)

    ends = KeyboardInterrupt if number == signal.SIGINT else SystemExit
    with pytest.raises(ends) as stopped:
        fit(task, tmp_path / "run", report=interrupt, remark=said.append)
    assert signal.getsignal(number) is before
    assert number == signal.SIGINT or stopped.value.code == 143
    assert number.name in said[0]
    saved = Saved(tmp_path / "run/checkpoints")
    assert (saved.last, saved.score(3)) == (3, math.inf)
    assert same(fit(task, tmp_path / "run", resume=True), whole[1])
    ours, theirs = (
        [{k: v for k, v in json.loads(line).items() if "second" not in k} for line in text]
        for text in (
            (folder / "metrics.jsonl").read_text().splitlines()
            for folder in (tmp_path / "run", whole[0])
        )
    )
    assert ours == theirs


def test_a_run_is_saved_by_the_clock(recipe, small_dataset, tmp_path):
    often = dataclasses.replace(recipe, save_minutes=1e-9, save_every=6)
    fit(open_task(often, small_dataset, MODEL), tmp_path / "run")
    # The last two, of which step 5 was saved for safety only.
    saved = Saved(tmp_path / "run/checkpoints")
    assert saved.steps == [5, 6]
    assert saved.score(5) == math.inf
    assert saved.best == 6


def test_a_score_that_is_not_finite_stops_the_run_with_what_is_good(
    task, whole, tmp_path, monkeypatch
):
    validate = saver.validate

    def broken(task, state, *rest):
        figures = validate(task, state, *rest)
        return {"holdout_mse": math.nan} if int(state.step) == 4 else figures

    monkeypatch.setattr(saver, "validate", broken)
    with pytest.raises(DivergedError, match=r"holdout_mse=nan after step 4; last good .* step 2"):
        fit(task, tmp_path / "run")
    assert Saved(tmp_path / "run/checkpoints").steps == [2]
    for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(name))
    monkeypatch.undo()
    assert same(fit(task, tmp_path / "run", resume=True), whole[1])


def test_paths_that_checkpoints_could_not_be_read_from_are_refused(task, tmp_path):
    with pytest.raises(ValueError, match=r"out: .* has '\[' in it"):
        fit(task, tmp_path / "new [1]")
    assert not (tmp_path / "new [1]").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [("", "holds no JSON"), ("[1]", "expected a JSON object, not list"), ("{}", "is no recipe")],
)
def test_a_damaged_recipe_is_named(content, message, run, task):
    (run / "recipe.json").write_text(content)
    with pytest.raises(ValueError, match=rf"recipe\.json .*{message}"):
        load(run, model=MODEL)
    write_json(run / "recipe.json", task.recipe.to_json())
