"""Tables of metrics for the terminal, the best of each column in bold."""

import math
import sys
from collections.abc import Collection, Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from pdr_jax import metrics

Rows = Mapping[str, Mapping[str, float]]

_PIPE = 10_000  # characters
_ABLATIONS = {
    "coarse": "the backbone's frames alone",
    "mean Y": "the rendered frames Y replaced by their mean",
    "shuffled Y": "Y replaced by that of another clip",
}
_ARROWS = {"lower": " ↓", "higher": " ↑", "one": " →1"}
_PLAIN = str.maketrans("↓↑→", "v^=")


def print_table(rows: Rows, *, title: str, columns: Sequence[str] | None = None) -> None:
    """Prints rows of metrics; controls ("persistence", "MODEL, ABLATION") are not ranked.

    What is wider than the terminal goes on in another table below. A pipe has no width. A line
    below explains the ablations of PDR.
    """
    controls = [name for name in rows if name == "persistence" or ", " in name]
    console = Console(width=None if sys.stdout.isatty() else _PIPE)
    left, heading = _columns(rows, columns), title
    with console.capture() as captured:
        while left:
            for count in range(len(left), 0, -1):
                table = rich_table(rows, left[:count], title=heading or None, reference=controls)
                table.columns[0].no_wrap, table.columns[0].max_width = False, console.width // 3
                if count == 1 or _width(console, table) <= console.width:
                    break
            console.print(table)
            left, heading = left[count:], ""
    print(encodable(captured.get(), sys.stdout.encoding), end="")
    shown = {name.rpartition(", ")[2] for name in controls}
    if said := [f"{name}: {text}" for name, text in _ABLATIONS.items() if name in shown]:
        print("; ".join(said))


def _width(console: Console, table: Table) -> int:
    """What a table takes where it has room."""
    return Measurement.get(console, console.options.update(max_width=_PIPE), table).maximum


def encodable(text: str, encoding: str | None) -> str:
    """The text as an output can take it: without arrows, and with ? for what it does not know."""
    encoding = encoding or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_PLAIN).encode(encoding, "replace").decode(encoding)
    return text


def rich_table(
    rows: Rows,
    columns: Sequence[str] | None = None,
    *,
    better: Mapping[str, str] = metrics.BETTER,
    reference: Collection[str] = (),
    corner: str = "",
    title: str | None = None,
) -> Table:
    """A table of four significant digits for `rich.print`, the best figure of a column in bold.

    Args:
      rows: label to its figures; a missing figure becomes a dash.
      columns: which figures in which order; default all, in the order they appear.
      better: direction of each figure, "lower", "higher" or "one" (nearest to 1); figures without
        a direction are not ranked.
      reference: labels that are not ranked (persistence always wins on sharpness).
      corner: head of the first column.
      title: above the table.

    Raises:
      ValueError: no rows, or a column that no row has.
    """
    columns = _columns(rows, columns)
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    table.add_column(corner, no_wrap=True)
    for column in columns:
        table.add_column(_head(column, better), justify="right", overflow="fold")
    for label, row in zip(rows, _cells(rows, columns, better, reference), strict=True):
        texts = (Text(text, style="bold" if bold else "") for text, bold in row)
        table.add_row(Text(label, style="dim" if label in reference else ""), *texts)
    return table


def _columns(rows: Rows, columns: Sequence[str] | None) -> list[str]:
    if not rows:
        raise ValueError("rows is empty; expected at least one {label: {metric: value}}")
    present = list(dict.fromkeys(name for row in rows.values() for name in row))
    if columns is None:
        return present
    for column in columns:
        if column not in present:
            raise ValueError(f"no row has {column!r}; they have {', '.join(present)}")
    return list(columns)


def _head(column: str, better: Mapping[str, str]) -> str:
    return column + _ARROWS.get(better.get(column, ""), "")


def _cells(
    rows: Rows, columns: Sequence[str], better: Mapping[str, str], reference: Collection[str]
) -> list[list[tuple[str, bool]]]:
    """Text and boldness of every cell, row by row. Figures that read the same rank the same."""
    by_column = []
    for column in columns:
        values = [_known(column, row.get(column)) for row in rows.values()]
        texts = ["-" if value is None else _text(value) for value in values]
        ranked = {
            text: _badness(float(text), better[column])
            for label, value, text in zip(rows, values, texts, strict=True)
            if column in better
            and label not in reference
            and value is not None
            and not math.isnan(value)
        }
        best = min(ranked.values(), default=None)
        by_column.append(
            [
                (text, label not in reference and text in ranked and ranked[text] == best)
                for label, text in zip(rows, texts, strict=True)
            ]
        )
    return [list(row) for row in zip(*by_column, strict=True)]


def _known(column: str, value: float | None) -> float | None:
    """The figure; none of one clip where the metric compares clips."""
    metric = metrics.METRICS.get(column)
    alone = metric is not None and metric.across_clips and value is not None and math.isnan(value)
    return None if alone else value


def _badness(value: float, better: str) -> float:
    return {"lower": value, "higher": -value, "one": abs(value - 1)}[better]


def _text(value: float) -> str:
    """Four significant digits, 6 decimals at most; integers whole."""
    if isinstance(value, int) or not math.isfinite(value):
        return str(value)
    magnitude = math.floor(math.log10(abs(value))) if value else 0
    return f"{value:.{min(6, max(0, 3 - magnitude))}f}"
