"""The parts of a page that are plain HTML: settings, findings, curves, tables; text is escaped."""

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from pdr_jax import metrics
from pdr_jax.report.curves import running_mean
from pdr_jax.report.html.charts import Line, line_chart, thinned
from pdr_jax.report.html.content import Content
from pdr_jax.report.html.findings import findings
from pdr_jax.report.table import Rows, rich_table

_FIRST = 4  # charts that are seen at once; the others unfold
_SYMBOLS = {"good": "✓", "bad": "✗", "warning": "!", "note": "·"}
_DIRECTIONS = {"lower": "lower is better", "higher": "higher is better", "one": "best at 1"}


def recipes(content: Content) -> str:
    """The settings in which runs differ; for one run, those that differ from the defaults."""
    columns = {label: _flat(run.recipe) for label, run in content.runs.items()}
    (first, run), *others = content.runs.items()
    if others:
        what = "Settings in which the runs differ"
        compared = columns
    elif run.defaults is not None:
        what = "Settings that differ from the defaults"
        compared = {"default": _flat(run.defaults), first: columns[first]}
    else:
        what, compared = "", {}
    parts = []
    if compared:
        differing = [name for name in _names(compared) if _differs(name, compared)]
        same = f"<p>{what}: none.</p>"
        parts.append(_settings(what, differing, compared) if differing else same)
    everything = _settings("Every setting", _names(columns), columns)
    parts.append(f"<details><summary>Every setting</summary>{everything}</details>")
    return "".join(parts)


def in_words(content: Content) -> str:
    """The findings of each run, as lists."""
    parts = []
    for index, (label, run) in enumerate(content.runs.items()):
        items = "".join(
            f'<li class="{level}"><span class="symbol" aria-hidden="true">{_SYMBOLS[level]}</span>'
            f'<span class="hidden">{level}: </span>{escape(text)}</li>'
            for level, text in findings(run, content.error)
        )
        said = f"<ul>{items}</ul>" if items else "<p>Nothing was measured.</p>"
        checkpoint = f"<p class='faint'>{escape(run.checkpoint)}</p>" if run.checkpoint else ""
        parts.append(
            f"<article><h3>{_swatch(index)}{escape(label)}</h3>{checkpoint}{said}</article>"
        )
    return f'<div class="cards">{"".join(parts)}</div>'


def curves(content: Content) -> str:
    """A chart for each curve that was logged, all runs in one."""
    charts = []
    for name in dict.fromkeys(name for run in content.runs.values() for name in run.curves):
        lines = []
        for index, (label, run) in enumerate(content.runs.items()):
            if name in run.curves:
                steps, values = run.curves[name]
                lines.append(Line(label, *thinned(steps, running_mean(values)), index))
        charts.append(line_chart(name, lines, "step"))
    return _charts(charts) or "<p>No curves: there is no metrics.jsonl.</p>"


def horizon(content: Content) -> str:
    """A chart for each metric over the predicted frames, beside the last frame repeated."""
    charts = []
    for metric in dict.fromkeys(name for run in content.runs.values() for name in run.per_frame):
        lines = [
            _over_frames(label, run.per_frame[metric], index)
            for index, (label, run) in enumerate(content.runs.items())
            if metric in run.per_frame
        ]
        still = next(iter(content.runs.values())).persistence.get(metric)
        if still is not None:
            lines.append(_over_frames("last frame repeated", still, None))
        better = _DIRECTIONS.get(metrics.BETTER.get(metric, ""), "")
        title = f"{metric} ({better})" if better else metric
        charts.append(line_chart(title, lines, "predicted frame"))
    grey = '<p class="faint">Thin and grey: the last observed frame, repeated.</p>'
    return grey + _charts(charts) if charts else "<p>Nothing was measured.</p>"


def distribution(content: Content) -> str:
    """The error of every clip, from the worst to the best of each run."""
    lines = []
    for index, (label, run) in enumerate(content.runs.items()):
        if len(run.errors):
            falling = np.sort(run.errors)[::-1]
            lines.append(Line(label, *thinned(np.arange(1, len(falling) + 1), falling), index))
    return line_chart(f"{content.error} of every clip", lines, "clip, worst first") if lines else ""


def table(content: Content) -> str:
    """Metrics of runs, controls and published rows, the best of each column marked."""
    rows: dict[str, Mapping[str, float]] = {}
    for label, run in content.runs.items():
        if run.figures:
            rows[label] = run.figures
        for name, figures in run.controls.items():
            rows["persistence" if name == "persistence" else f"{label}, {name}"] = figures
    if "persistence" in rows:  # the same for every run
        rows["persistence"] = rows.pop("persistence")
    if not rows:
        return "<p>There are no test clips and no held-out ones, so nothing was measured.</p>"
    controls = [row for row in rows if row not in content.runs]
    return _table({**rows, **content.published}, controls, list(content.published))


def legend(content: Content) -> str:
    """The runs beside the colour and the dashes of their lines."""
    items = "".join(
        f"<li>{_swatch(index)}{escape(label)}</li>" for index, label in enumerate(content.runs)
    )
    return f'<ul class="legend">{items}</ul>'


def _table(rows: Rows, controls: Sequence[str], published: Sequence[str]) -> str:
    made = rich_table(rows, reference=controls)
    head, *columns = made.columns
    names = [escape(str(column.header)).replace("_", "_<wbr>") for column in columns]
    heads = "".join(f'<th scope="col">{name}</th>' for name in names)
    cells = zip(*(column.cells for column in columns), strict=True)
    lines = []
    for label, row in zip(rows, cells, strict=True):
        kind = "control" if label in controls else "published" if label in published else "run"
        texts = "".join(
            f"<td><strong>{escape(cell.plain)}</strong></td>"
            if "bold" in str(cell.style)
            else f"<td>{escape(cell.plain)}</td>"
            for cell in row
        )
        lines.append(f'<tr class="{kind}"><th scope="row">{escape(label)}</th>{texts}</tr>')
    return (
        '<div class="wide" tabindex="0" role="region" aria-label="Metrics"><table>'
        "<caption>The best of a column is bold; grey rows are controls, which are not ranked."
        f'</caption><thead><tr><th scope="col">{escape(str(head.header))}</th>{heads}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _settings(caption: str, names: Sequence[str], columns: Mapping[str, Mapping]) -> str:
    heads = "".join(f'<th scope="col">{escape(label)}</th>' for label in columns)
    lines = "".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(f"<td>{escape(_shown(column, name))}</td>" for column in columns.values())
        + "</tr>"
        for name in names
    )
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(caption)}"><table>'
        f"<caption>{escape(caption)}</caption><thead><tr><th>setting</th>{heads}</tr></thead>"
        f"<tbody>{lines}</tbody></table></div>"
    )


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted names."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        nested = isinstance(value, Mapping) and value
        found |= _flat(value, f"{prefix}{name}.") if nested else {f"{prefix}{name}": value}
    return found


def _names(columns: Mapping[str, Mapping]) -> list[str]:
    return list(dict.fromkeys(name for column in columns.values() for name in column))


def _differs(name: str, columns: Mapping[str, Mapping]) -> bool:
    return len({_shown(column, name) for column in columns.values()}) > 1


def _shown(column: Mapping[str, Any], name: str) -> str:
    if name not in column:
        return "-"
    value = column[name]
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _over_frames(label: str, values: np.ndarray, style: int | None) -> Line:
    return Line(label, np.arange(1, len(values) + 1), np.asarray(values), style)


def _charts(charts: Sequence[str]) -> str:
    charts = list(filter(None, charts))
    if not charts:
        return ""
    shown = f'<div class="charts">{"".join(charts[:_FIRST])}</div>'
    if charts[_FIRST:]:
        rest = f'<div class="charts">{"".join(charts[_FIRST:])}</div>'
        shown += f"<details><summary>{len(charts) - _FIRST} more</summary>{rest}</details>"
    return shown


def _swatch(index: int) -> str:
    return (
        '<svg class="swatch" viewBox="0 0 28 10" aria-hidden="true">'
        f'<path class="line series-{index % 6}" d="M0 5H28"/></svg>'
    )
