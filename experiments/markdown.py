"""What the sections of experiments/README.md are made of."""

from collections.abc import Sequence
from typing import Any


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, its first column to the left."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def origin(result: dict[str, Any]) -> str:
    """Where a result comes from: a line, or where its rows have records one for each of them."""
    measured: dict[str, list[str]] = {}
    for row in result.get("rows", []):
        if "record" in row:
            name = row["backbone"] if "backbone" in row else row["data"]
            measured.setdefault(_line(row["record"], []), []).append(name)
    if measured:
        return "\n".join(f"* {', '.join(names)}: {line}" for line, names in measured.items()) + "\n"
    runs = [run for key in ("runs", "kth", "era5", "bikenyc") for run in result.get(key, [])]
    return _line(result, [run["commit"] for run in runs]) + "\n"


def _line(record: dict[str, Any], commits: Sequence[str]) -> str:
    """A record of `experiments.provenance`, of runs that may have commits of their own."""
    versions = record["versions"]
    commits = list(dict.fromkeys(commits)) or [record["commit"]]
    return (
        f"`{record['command']}`, commit {', '.join(map(_short, commits))}, {record['date']}, "
        f"{record['hardware']}, Python {versions['python']}, jax {versions['jax']}, "
        f"seeds {', '.join(map(str, record['seeds']))}."
    )


def _short(commit: str) -> str:
    """A commit's first digits, and what was said of it."""
    digits, _, remark = commit.partition(" ")
    return f"{digits[:10]} {remark}".strip()
