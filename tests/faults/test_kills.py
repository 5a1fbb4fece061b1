"""Processes killed at every moment: what they leave is finished, and equal to the undisturbed."""

from pathlib import Path
from signal import SIGINT, SIGKILL, SIGTERM

import pytest

from experiments import faults
from experiments.killed_jobs import Jobs
from experiments.killing import Place

CACHE = Path(__file__).parents[2] / ".cache" / "faults"
STATUS = {SIGKILL: 137, SIGTERM: 143, SIGINT: 130}
# What is killed, when, by what, and what is there then.
SUITE = [
    ("train", "checkpoint written, not renamed", SIGKILL, "checkpoint 3; 6.orbax-checkpoint-tmp"),
    ("train", "step 5", SIGTERM, "checkpoint 5"),
    ("train", "evaluation", SIGINT, "checkpoint 12"),
    (
        *("train --init-from", "first checkpoint half written", SIGKILL),
        "no checkpoint; 3.orbax-checkpoint-tmp",
    ),
    ("data prepare", "written, not renamed", SIGKILL, "nothing; incomplete.*_1.0.0"),
    ("import-openstl", "written, not renamed", SIGKILL, "nothing; .run.*"),
]
EVERY = [
    (kind, moment, number)
    for kind, moments in faults.MOMENTS.items()
    for moment in moments
    for number in faults.SIGNALS
]


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    return Jobs(Place(tmp_path_factory.mktemp("faults"), CACHE))


@pytest.mark.rest
@pytest.mark.parametrize(("kind", "moment", "number", "there"), SUITE)
def test_a_killed_process_loses_nothing(kind, moment, number, there, jobs):
    fate = faults.survive(jobs, kind, [(faults.MOMENTS[kind][moment], number)])
    assert fate.killed == [(STATUS[number], there)]
    assert fate.differences == []


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "moment", "number"), EVERY)
def test_at_every_moment_no_signal_loses_anything(kind, moment, number, jobs):
    fate = faults.survive(jobs, kind, [(faults.MOMENTS[kind][moment], number)])
    assert [status for status, _ in fate.killed] == [STATUS[number]]
    assert fate.differences == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [SIGTERM, SIGINT])
@pytest.mark.parametrize(("moment", "step"), [("compilation", 1), ("step 5", 5)])
def test_a_signal_leaves_a_checkpoint_of_the_step_at_hand(moment, step, number, jobs):
    job = jobs.make("train")
    jobs.place.kill(job.command, faults.TRAINING[moment], number)
    assert job.there() == f"checkpoint {step}"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100))
def test_at_random_moments_no_signal_loses_anything(seed, jobs):
    assert faults.survive(jobs, "train", faults.at_random(seed)).differences == []
