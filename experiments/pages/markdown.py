"""Markdown tables, cells, and the line that says where a result comes from."""

import textwrap
from collections.abc import Sequence
from typing import Any


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, the first column to the left, the others to the right.

    Cells are not padded as tabulate would pad them: one longer cell would change every line.
    """
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def page(*parts: str) -> str:
    """Parts of a document with an empty line between them; each part ends in a line's end."""
    return "\n".join(part.rstrip("\n") + "\n" for part in parts if part)


def paragraph(text: str, *, bullet: bool = False) -> str:
    """Text in lines of at most 100 characters, or one item of a list."""
    first, rest = ("* ", "  ") if bullet else ("", "")
    return (
        "\n".join(
            textwrap.wrap(
                " ".join(text.split()),
                100,
                initial_indent=first,
                subsequent_indent=rest,
                break_long_words=False,
                break_on_hyphens=False,
            )
        )
        + "\n"
    )


def bullets(*items: str) -> str:
    """A list."""
    return "".join(paragraph(item, bullet=True) for item in items)


def figure(value: float) -> str:
    """Four significant digits, without an exponent."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:#.4g}".removesuffix(".")


def spread(values: Sequence[float]) -> str:
    """The mean of some runs and, of more than one, the least and the greatest."""
    mean = figure(sum(values) / len(values))
    if len(values) == 1:
        return mean
    return f"{mean} ({figure(min(values))} to {figure(max(values))})"


def words(items: Sequence[str]) -> str:
    """A list in a sentence."""
    return " and ".join(filter(None, [", ".join(items[:-1]), *items[-1:]]))


def origin(result: dict[str, Any]) -> str:
    """Command, commit, date, hardware, versions and seeds of a result.

    Rows that are measured one by one have records of their own: then one line for each record,
    which names its rows.
    """
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
    """A record of `experiments.provenance`; `commits` are those of its runs, if they differ."""
    versions = record["versions"]
    commits = list(dict.fromkeys(commits)) or [record["commit"]]
    return (
        f"`{record['command']}`, commit {', '.join(map(_short, commits))}, {record['date']}, "
        f"{record['hardware']}, Python {versions['python']}, jax {versions['jax']}, "
        f"seeds {', '.join(map(str, record['seeds']))}."
    )


def _short(commit: str) -> str:
    """A commit's first ten digits, and the remark on uncommitted changes."""
    digits, _, remark = commit.partition(" ")
    return f"{digits[:10]} {remark}".strip()
