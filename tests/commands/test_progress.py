"""What a command that takes long shows."""

import time

import jax
import jax.numpy as jnp

from pdr_jax.commands import progress
from pdr_jax.commands.progress import TrainingProgress, working

LINE = {"step": 1, "steps": 20, "loss": 0.5, "learning_rate": 1e-3, "frames_per_second": 100.0}


def test_compilation_is_shown_with_its_time(capsys):
    def train_step(x):
        return x + 1

    with TrainingProgress("tau") as shown:
        jax.jit(train_step)(jnp.zeros(3))
        jax.jit(lambda x: x + 2)(jnp.zeros(3))
        for step in range(1, 21):
            shown({**LINE, "step": step, "seconds_left": 20.0 - step})
    lines = [line.split(maxsplit=1)[1] for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "compiling ..."
    assert lines[1].startswith("compiled in 0:0")
    assert 10 <= len(lines) - 2 <= 11  # the first step, and about each tenth of the run
    assert lines[-1].startswith("step     20/20  loss 0.50000")
    train_step.__name__ = "train_step_of_another_run"
    jax.jit(train_step)(jnp.zeros(4))
    assert capsys.readouterr().out == ""


def test_long_work_says_now_and_then_how_far_it_is(capsys, monkeypatch):
    with working("scoring a run"):
        pass
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(progress, "PAUSE", 0.01)
    with working("scoring a run") as report:
        report(3, 12)
        time.sleep(0.2)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "scoring a run: 3 of 12, 0:00 so far" in shown.err
