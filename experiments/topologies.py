"""Compiles whole training steps for devices that are not here, and keeps what they need and move.

    python -m experiments.topologies [--only WORD ...] [--minutes 40]

TAU with and without an adapter, at the sizes published for TaxiBJ and KTH and at a small one, on
the topologies of `experiments.topologies_step`. Each case has a process of its own and is written
to results/topologies.json at once; cases that are there already are not compiled again. Nothing is
run: seconds are predicted by the model in `experiments.topologies_model`.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from experiments import provenance
from experiments.topologies_step import TOPOLOGIES, Case, compile_case, environment, missing
from pdr_jax.files import read_json, write_json

RESULT = provenance.RESULTS / "topologies.json"
ADAPTERS = ("none", "tracked", "paper")
PER_DEVICE = {"8 CPU devices": 2, "8 x H200": 2, "v5e 2x2": 4, "v5e 4x4": 1}
"""Clips: the published batches are of 16."""
CASES = [
    *(Case("small", x, y, PER_DEVICE[y]) for y in TOPOLOGIES for x in ADAPTERS),
    *(Case("taxibj", x, y, PER_DEVICE[y]) for y in TOPOLOGIES for x in ADAPTERS),
    *(
        Case("kth", x, y, PER_DEVICE[y])
        for y in TOPOLOGIES
        if y != "8 CPU devices"
        for x in ADAPTERS
    ),
    *(Case("kth", x, "v5e 2x2", 16, remat) for x in ADAPTERS[:2] for remat in (False, True)),
]


def main() -> None:
    """Compiles what has not been compiled yet."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--only", nargs="+", default=[], help="words that a case's name must have")
    parser.add_argument("--minutes", type=float, default=40, help="after which a case is given up")
    parser.add_argument("--compile", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.compile is not None:
        write_json(options.output, compile_case(CASES[options.compile]))
        return
    for case in CASES:
        if all(word in case.name for word in options.only) and case.name not in _rows():
            if reason := missing(TOPOLOGIES[case.topology]):
                print(f"{case.name}: left out, {reason}")
                continue
            outcome = compile_apart(case, options.minutes)
            print(case.name, outcome, flush=True)
            _keep(case, outcome)


def compile_apart(case: Case, minutes: float) -> dict[str, Any]:
    """What `compile_case` returns in a process of its own, or {"error": why there is nothing}.

    Args:
      case: one of CASES.
      minutes: after which it is given up.
    """
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "row.json"
        command = [sys.executable, "-m", "experiments.topologies"]
        command += ["--compile", str(CASES.index(case)), "--output", str(output)]
        variables = {**os.environ, **environment(TOPOLOGIES[case.topology])}
        try:
            ended = subprocess.run(
                command,
                cwd=Path(__file__).parent.parent,
                env=variables,
                capture_output=True,
                text=True,
                timeout=60 * minutes,
            )
        except subprocess.TimeoutExpired:
            return {"error": f"not compiled after {minutes:g} minutes"}
        if output.exists():
            return read_json(output)
        return {"error": _reason(ended.stderr) or f"exit code {ended.returncode}"}


def _reason(stderr: str) -> str:
    """The first line of the exception that ended a process."""
    lines = stderr.rpartition("Traceback (most recent call last):")[2].splitlines()
    return next((x for x in lines if x[:1].isalpha() and ": " in x), "")[:300]


def _rows() -> dict[str, dict[str, Any]]:
    """What is kept, by the case's name."""
    return {row["name"]: row for row in read_json(RESULT)["runs"]} if RESULT.exists() else {}


def _keep(case: Case, outcome: dict[str, Any]) -> None:
    """Adds a case to the result, in the order of CASES."""
    record, rows = provenance.record(seeds=[0]), _rows()
    rows[case.name] = {
        "name": case.name,
        **case._asdict(),
        **outcome,
        **{key: record[key] for key in ("commit", "date")},
    }
    runs = [rows[x.name] for x in CASES if x.name in rows]
    record["command"] = "python -m experiments.topologies"
    write_json(RESULT, {**record, "runs": runs})


if __name__ == "__main__":
    main()
