"""Kills pdr at every moment that it has, and compares what comes of it with an undisturbed run.

    python -m experiments.faults --repeats 2

Writes experiments/results/faults.json. A killed training is resumed to its end; another killed
command leaves what it makes whole or not at all, and is called again if not at all. Either result
has to be the undisturbed one bit for bit. About 15 seconds a row and repeat; the moments are
exact, as the process waits there for its signal (`experiments.halted`).
"""

import argparse
import random
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGTERM, Signals
from typing import Any, NamedTuple

from experiments.killed_jobs import Jobs
from experiments.killing import Moment, Place
from experiments.provenance import RESULTS, record
from pdr_jax.files import write_json

SIGNALS = (SIGKILL, SIGTERM, SIGINT)
TRAINING = {
    "start": Moment("start"),
    "recipe.json written, not renamed": Moment("os.rename", "*/.partial.recipe.json"),
    "compilation": Moment("call", "pdr_jax.runs.fit.train_step"),
    "step 5": Moment("call", "pdr_jax.runs.pace.Pace.add", 5),
    "validation": Moment("call", "pdr_jax.runs.fit.validate", 2),
    "checkpoint half written": Moment("os.rename", "*/6.orbax-checkpoint-tmp/run.*"),
    "checkpoint written, not renamed": Moment("os.rename", "*/6.orbax-checkpoint-tmp"),
    "old checkpoint half removed": Moment("os.rmdir", "metrics"),
    "evaluation": Moment("call", "pdr_jax.evaluation.measuring.measure"),
    "metrics.json written, not renamed": Moment("os.rename", "*/.partial.metrics.json"),
    "pictures": Moment("os.rename", "*/.partial.strip.png"),
}
# Before its first checkpoint, a run that starts from another has to read that one's weights again.
FROM_ANOTHER = {
    "compilation": TRAINING["compilation"],
    "step 2": Moment("call", "pdr_jax.runs.pace.Pace.add", 2),
    "first checkpoint half written": Moment("os.rename", "*/3.orbax-checkpoint-tmp/run.*"),
    "first checkpoint written, not renamed": Moment("os.rename", "*/3.orbax-checkpoint-tmp"),
}
MOMENTS = {
    "train": TRAINING,
    "train --init-from": FROM_ANOTHER,
    "data prepare": {
        "records half written": Moment("os.rename", "*/test.0.part"),
        "written, not renamed": Moment("os.rename", "*/incomplete.*_1.0.0"),
    },
    "import-openstl": {
        "checkpoint half written": Moment("os.rename", "*/0.orbax-checkpoint-tmp/run.*"),
        "written, not renamed": Moment("os.rename", "*/run"),
    },
    "export-openstl": {
        "weights half written": Moment("os.rename", "*/.partial.weights.npz"),
        "one of two files renamed": Moment("os.rename", "*/.partial.weights.json"),
    },
    "predict": {
        "before the first batch": Moment("call", "pdr_jax.evaluation.predictors.predictor"),
        "written, not renamed": Moment("os.rename", "*/.partial.future.npy"),
    },
}

When = Moment | float


class Fate(NamedTuple):
    """What became of a job that was killed.

    Attributes:
      killed: exit status, and what was there then, for each kill.
      differences: where the finished job differs from the undisturbed one, or why it could not be
        finished.
    """

    killed: list[tuple[int, str]]
    differences: list[str]


def survive(jobs: Jobs, kind: str, kills: Sequence[tuple[When, Signals]]) -> Fate:
    """Kills a new job again and again, finishes it, and compares it with the undisturbed one."""
    job, killed = jobs.make(kind), []
    for when, number in kills:
        status = jobs.place.kill(job.again() or job.command, when, number)
        killed.append((status, job.there()))
    if command := job.again():
        try:
            jobs.place.pdr(*command)
        except RuntimeError as error:
            return Fate(killed, [str(error).replace(f"{job.out[0].parent.name}/", "")])
    return Fate(killed, jobs.differences(kind, job))


def at_random(seed: int) -> list[tuple[When, Signals]]:
    """One to three kills of a training, by changes of files and by time in turn."""
    chance = random.Random(seed)
    moments: list[When] = [
        Moment("change", "*/run/*", chance.randint(1, 120)) if seed % 2 else chance.uniform(0, 10)
        for _ in range(chance.randint(1, 3))
    ]
    return [(moment, chance.choice(SIGNALS)) for moment in moments]


def main() -> None:
    """Injects every fault, and writes what happened."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=1, help="of each moment and signal")
    parser.add_argument("--random", type=int, default=10, help="trainings killed at random")
    parser.add_argument("--output", type=Path, default=RESULTS / "faults.json")
    arguments = parser.parse_args()
    result = record(seeds=list(range(arguments.random)))
    with tempfile.TemporaryDirectory() as folder:
        jobs = Jobs(Place(Path(folder)))
        rows: list[dict[str, Any]] = []
        for row in _rows(jobs, arguments.repeats, arguments.random):
            print(row, flush=True)
            rows.append(row)
            write_json(arguments.output, {**result, "rows": rows})


def _rows(jobs: Jobs, repeats: int, at_random_times: int) -> Iterator[dict[str, Any]]:
    for kind, moments in MOMENTS.items():
        for name, moment in moments.items():
            for number in SIGNALS:
                fates = [survive(jobs, kind, [(moment, number)]) for _ in range(repeats)]
                yield _row(kind, name, number.name, fates)
    fates = [survive(jobs, "train", at_random(seed)) for seed in range(at_random_times)]
    yield _row("train", "at random", "any", fates)


def _row(command: str, moment: str, sent: str, fates: Sequence[Fate]) -> dict[str, Any]:
    kills = [kill for fate in fates for kill in fate.killed]
    return {
        "command": command,
        "moment": moment,
        "signal": sent,
        "jobs": len(fates),
        "kills": len(kills),
        "status": sorted({status for status, _ in kills}),
        "there": sorted({there for _, there in kills}),
        "equal": sum(not fate.differences for fate in fates),
        "differences": sorted({name for fate in fates for name in fate.differences}),
    }


if __name__ == "__main__":
    main()
