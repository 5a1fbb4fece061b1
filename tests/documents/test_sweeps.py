"""The loop and the study of docs/sweeps.md run, at toy size."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from pdr_jax.commands import main

PAGE = Path(__file__).parents[2] / "docs/sweeps.md"
TOY = {
    "--steps 600": "--steps 2 --adapter none --batch-size 4 --holdout 0.25 --devices 1 "
    "--backbone-options.hid-T 8 --data-options.size 16 --data-options.num-train 16 "
    "--data-options.num-test 4 --in-length 2 --out-length 2",
    "n_trials=20": "n_trials=1",
    "[8, 16, 32]": "[4]",
}
"""What is put in the place of the page's settings."""


def blocks(language):
    text = PAGE.read_text()
    for setting, toy in TOY.items():
        assert setting in text
        text = text.replace(setting, toy)
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_loop_gives_each_run_a_folder(tmp_path):
    """With a command in place of pdr that notes how it is called."""
    stub = tmp_path / "pdr"
    stub.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path / "called"}\n')
    stub.chmod(0o755)
    (loop,) = blocks("bash")
    path = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run(["bash", "-e", "-c", loop], check=True, env=path)
    called = (tmp_path / "called").read_text().splitlines()
    assert len(called) == len({line.split("--out ")[1] for line in called}) == 6
    assert all(line.startswith("train moving_sprites --learning-rate ") for line in called)


def log(run, key, errors):
    """Makes a run folder whose log has these errors."""
    lines = [{"step": 1, "loss": 0.1}, *({key: error} for error in errors)]
    run.mkdir(parents=True)
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.mark.rest
def test_the_scores_are_read_and_the_study_runs(tmp_path, monkeypatch, capsys):
    pytest.importorskip("optuna", reason="needs optuna")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PDR_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(subprocess, "run", lambda command, check: main(command[1:]))
    log(tmp_path / "runs/rate1", "val_mse", [5.0, 3.0])
    log(tmp_path / "runs/rate2", "holdout_mse", [2.0, 4.0])
    scores, study = blocks("python")
    names = {}
    exec(scores, names)
    assert capsys.readouterr().out.split() == ["2.00", "runs/rate2", "3.00", "runs/rate1"]
    exec(study, names)
    assert names["study"].best_value == names["score"](tmp_path / "runs/trial0") > 0
    assert (tmp_path / "sweep.db").exists()
