"""The page on what was injected into pdr, and what came of it."""

from collections.abc import Mapping
from typing import Any

from experiments.pages.markdown import origin, page, paragraph, table

READING = """\
A process is halted at the named moment, sent the signal and, where anything is left to do, started
again (a training by `pdr train --resume`) until it ends. "Equal" means: the last and the best
checkpoint, their position in the data, metrics.jsonl without its timings, metrics.json, recipe.json
and data.json of a run, every clip of prepared data, or every byte of other files are those of a
process that nothing disturbed. A cell has the exit status as a shell sees it, and what was there
then; unfinished files are listed by name. "At random" means one to three kills of one training, at
seeded changes of files or times. With status 0 a process ended before its signal or in spite of it.
"""


def document(result: Mapping[str, Any]) -> str:
    """A table for each command, a row for each moment, a column for each signal."""
    parts = []
    for command in dict.fromkeys(row["command"] for row in result["rows"]):
        rows = [row for row in result["rows"] if row["command"] == command]
        named = [row for row in rows if row["signal"] != "any"]
        signals = list(dict.fromkeys(row["signal"] for row in named))
        moments: dict[str, list[dict[str, Any]]] = {}
        for row in named:
            moments.setdefault(row["moment"], []).append(row)
        cells = [[moment, *map(_cell, found), _equal(found)] for moment, found in moments.items()]
        cells += [
            [f"at random, {row['kills']} kills", *[""] * len(signals), _equal([row])]
            for row in rows
            if row["signal"] == "any"
        ]
        parts += [f"## pdr {command}\n", table(["", *signals, "equal"], cells)]
    return page("# Kills at every moment\n", paragraph(READING), origin(dict(result)), *parts)


def summary(result: Mapping[str, Any]) -> str:
    """The paragraph of the front."""
    rows = result["rows"]
    kills, jobs, equal = (sum(row[name] for row in rows) for name in ("kills", "jobs", "equal"))
    return page(
        "## [Kills at every moment](results/faults.md): is anything lost?\n",
        paragraph(
            f"{kills} signals, SIGKILL, SIGTERM or SIGINT, were aimed at {jobs} trainings and "
            f"other commands, which were finished afterwards: {equal} of {jobs} are equal to "
            "undisturbed ones bit for bit."
        ),
    )


def _cell(row: Mapping[str, Any]) -> str:
    statuses = ", ".join(map(str, row["status"]))
    return f"{statuses}: {' or '.join(row['there'])}"


def _equal(rows: list[dict[str, Any]]) -> str:
    equal, jobs = (sum(row[name] for row in rows) for name in ("equal", "jobs"))
    wrong = sorted({name for row in rows for name in row["differences"]})
    return f"{equal} of {jobs}" + (f" ({'; '.join(wrong)})" if wrong else "")
