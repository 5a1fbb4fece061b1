"""The end of one process: all save at the same step, or all end soon; and the run goes on."""

import json
import re
import signal

import numpy as np
import pytest
from small_runs import moving_blobs

from experiments.launched import ROOT, finish, run, signalled, start
from experiments.several_processes import losses
from pdr_jax.processes import SILENCE
from pdr_jax.runs.saved import Saved

pytestmark = pytest.mark.rest

FLAGS = "--xla_backend_optimization_level=0"
MODEL = (
    "--backbone convlstm --adapter none --backbone-options.num-hidden 4 "
    "--backbone-options.patch-size 2 --in-length 2 --out-length 2"
)
TOY = (
    f"{MODEL} --data-options.size 16 --data-options.num-train 16 --data-options.num-test 4 "
    "--data-dir data"
)
# The processes find no data, and one makes it for both.
TRAIN = (
    f"-m pdr_jax.commands train moving_sprites {TOY} --batch-size 4 --steps 2000 --save-every 20 "
    "--log-every 1 --out run"
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
    saved = Saved(tmp_path / "run/checkpoints")
    processes = start(TRAIN, cwd=tmp_path, flags=FLAGS)
    ended = signalled(processes, lambda: saved.last is not None, signal.SIGKILL, lost)
    other = ended[1 - lost]
    assert ended[lost].status == -signal.SIGKILL
    assert other.status not in (0, -signal.SIGKILL), other
    assert other.seconds < 2 * SILENCE
    assert saved.last % 20 == 0


def test_a_process_that_refuses_its_input_ends_the_others(tmp_path):
    np.save(tmp_path / "frames0.npy", moving_blobs(12))
    words = f"train arrays {MODEL} --batch-size 4 --steps 5 --out run --data-options.path".split()
    code = (
        "import os; from pdr_jax.commands.main import main; "
        f"main([*{words}, 'frames' + os.environ['JAX_PROCESS_ID'] + '.npy'])"
    )
    finds_it, does_not = finish(start(["-c", code], cwd=tmp_path, flags=FLAGS))
    assert does_not.status == 2
    assert "frames1.npy" in does_not.err
    assert finds_it.status != 0
    assert finds_it.seconds < 3 * SILENCE


def test_processes_may_be_far_apart_once_they_have_joined(tmp_path):
    """A CPU would wait for a new connection for 30 seconds only."""
    code = (
        "import os, time; from pdr_jax import processes; processes.join(); "
        "time.sleep(33 * int(os.environ['JAX_PROCESS_ID'])); processes.wait_for_all('here')"
    )
    assert [each.status for each in finish(start(["-c", code], cwd=tmp_path, devices=2))] == [0, 0]


def test_the_pages_two_terminals_train_together(tmp_path):
    page = (ROOT / "docs/several-processes.md").read_text()
    exported, command = re.search(r"```bash\nexport (.*)\npdr (train .*)\n```", page).groups()
    names = [word.partition("=")[0] for word in exported.split()]
    assert names == ["JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"]
    assert "--steps 100" in command
    words = command.replace("--steps 100", f"--steps 3 {TOY}").split()
    first, second = run(["-m", "pdr_jax.commands", *words], cwd=tmp_path, flags=FLAGS)
    assert first.out.startswith("processes: 2, started by JAX_NUM_PROCESSES; this is 0, with 1 of")
    assert "persistence" in first.out
    assert "persistence" not in second.out
    assert (tmp_path / "runs/two/report.html").exists()
