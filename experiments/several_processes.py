"""A training on two processes that is killed twice and goes on on one, beside the same left alone.

    python -m experiments.several_processes

Both take the README's backbone and adapter, small, on eight simulated devices in all. What is
printed is kept, and the losses and the tables are compared.
"""

import json
import signal
import tempfile
from pathlib import Path
from typing import Any

from experiments import provenance
from experiments.launched import Ended, finish, signalled, start
from pdr_jax.files import write_json
from pdr_jax.runs.saved import Saved

SIZES = (
    "--backbone-options.hid-S 8 --backbone-options.hid-T 16 --backbone-options.N-S 2 "
    "--backbone-options.N-T 2 --in-length 4 --out-length 4 --data-options.num-train 128 "
    "--data-options.num-test 20 --batch-size 8 --steps 60 --save-every 20 --log-every 1"
)
COMMAND = f"train moving_sprites --backbone tau --adapter predgs {SIZES}"


def main() -> None:
    """Runs everything and writes the result."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        whole = run(f"{COMMAND} --out whole", folder, processes=1)
        parts = [
            run(f"{COMMAND} --out killed", folder, processes=2, kill=(signal.SIGTERM, 10)),
            run("train --resume killed", folder, processes=2, kill=(signal.SIGKILL, 45)),
            run("train --resume killed", folder, processes=1),
        ]
        made = {
            **provenance.record(seeds=[0]),
            "alone": whole,
            "parts": parts,
            "losses": difference(*(losses(folder / name) for name in ("whole", "killed"))),
            "tables": difference(*(table(folder / name) for name in ("whole", "killed"))),
            "rows": {name: rows(folder / name) for name in ("whole", "killed")},
        }
    write_json(provenance.RESULTS / "several_processes.json", made)


def run(
    words: str, folder: Path, *, processes: int, kill: tuple[signal.Signals, int] | None = None
) -> dict[str, Any]:
    """Starts `pdr WORDS` on eight devices in all, and kills its last process after a step."""
    run_folder = folder / words.split()[-1]
    command = ["-m", "pdr_jax.commands", *words.split()]
    started = start(command, count=processes, devices=8 // processes, cwd=folder)
    if kill is None:
        ended = finish(started, seconds=3600)
    else:
        number, step = kill
        ended = signalled(started, lambda: reached(run_folder, step), number, processes - 1)
    return {
        "command": f"pdr {words}",
        "processes": processes,
        "signal": kill[0].name if kill else "",
        "status": [each.status for each in ended],
        "seconds_after_the_signal": round(max(each.seconds for each in ended), 1) if kill else None,
        "said": [said(each, folder) for each in ended],
        "checkpoints": Saved(run_folder / "checkpoints").steps,
    }


def reached(run_folder: Path, step: int) -> bool:
    """Whether the log has a step."""
    log = run_folder / "metrics.jsonl"
    return log.exists() and f'"step": {step},' in log.read_text()


def said(ended: Ended, folder: Path) -> list[str]:
    """The lines that are ours."""
    lines = ended.out.splitlines() + ended.err.splitlines()
    ours = ("processes:", "note:", "error:", "the last checkpoint")
    return [line.replace(f"{folder}/", "") for line in lines if line.startswith(ours)]


def losses(run_folder: Path) -> dict[str, float]:
    """The loss of each step."""
    lines = map(json.loads, (run_folder / "metrics.jsonl").read_text().splitlines())
    return {str(line["step"]): line["loss"] for line in lines if "loss" in line}


def rows(run_folder: Path) -> dict[str, dict[str, float]]:
    """The rows of the run's table."""
    return json.loads((run_folder / "metrics.json").read_text())["rows"]


def table(run_folder: Path) -> dict[str, float]:
    """Every figure of the run's table."""
    return {
        f"{name}: {metric}": figure
        for name, row in rows(run_folder).items()
        for metric, figure in row.items()
    }


def difference(one: dict[str, float], two: dict[str, float]) -> float:
    """The largest relative difference of figures with the same names."""
    assert one.keys() == two.keys()
    return max(abs(one[name] - two[name]) / abs(one[name]) for name in one)


if __name__ == "__main__":
    main()
