"""The end of one process: all save at the same step, or all end soon; and the run goes on."""

import json
import signal

import pytest

from experiments.launched import run, signalled, start
from experiments.several_processes import losses
from pdr_jax.processes import SILENCE
from pdr_jax.runs.saved import Saved

pytestmark = pytest.mark.rest

FLAGS = "--xla_backend_optimization_level=0"
TRAIN = (
    "-m pdr_jax.commands train moving_sprites --backbone convlstm --adapter none "
    "--backbone-options.num-hidden 4 --backbone-options.patch-size 2 --in-length 2 --out-length 2 "
    "--data-options.size 8 --data-options.num-train 16 --data-options.num-test 4 --batch-size 4 "
    "--steps 2000 --save-every 20 --log-every 1 --out run"
).split()


def reached(folder, step):
    log = folder / "run/metrics.jsonl"
    return lambda: log.exists() and f'"step": {step},' in log.read_text()


def test_a_signal_to_one_saves_the_same_step_of_all_and_the_run_goes_on(tmp_path):
    processes = start(TRAIN, cwd=tmp_path, flags=FLAGS)
    ended = signalled(processes, reached(tmp_path, 25), signal.SIGTERM, 1)
    assert [each.status for each in ended] == [143, 143], ended
    last = Saved(tmp_path / "run/checkpoints").last
    assert last > 25
    assert last == max(map(int, losses(tmp_path / "run")))
    assert f"SIGTERM: run is saved up to step {last}" in ended[0].out
    recipe = tmp_path / "run/recipe.json"  # a shorter run, which ends now
    recipe.write_text(json.dumps({**json.loads(recipe.read_text()), "steps": last + 2}))
    resume = ["-m", "pdr_jax.commands", "train", "--resume", "run", "--accept-changes"]
    (alone,) = run(resume, count=1, devices=2, cwd=tmp_path, flags=FLAGS)
    assert "persistence" in alone.out
    assert list(losses(tmp_path / "run")) == [str(step) for step in range(1, last + 3)]


@pytest.mark.parametrize("lost", [0, 1])
def test_a_process_that_is_lost_ends_the_others(lost, tmp_path):
    processes = start(TRAIN, cwd=tmp_path, flags=FLAGS)
    ended = signalled(processes, reached(tmp_path, 25), signal.SIGKILL, lost)
    other = ended[1 - lost]
    assert ended[lost].status == -signal.SIGKILL
    assert other.status not in (0, -signal.SIGKILL), other
    assert other.seconds < 2 * SILENCE
    assert Saved(tmp_path / "run/checkpoints").last == 20
