"""Curves of several runs on one axis, from their metrics.jsonl."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pdr_jax.report import style


def save_curves(
    path: str | os.PathLike[str],
    runs: Mapping[str, str | os.PathLike[str]],
    *,
    key: str = "loss",
    title: str | None = None,
) -> None:
    """Saves `key` over the training step as PNG: pale values with their running mean on top.

    The axis is logarithmic where all values are positive and span more than a factor of ten.

    Args:
      path: ends in .png; its folder is made.
      runs: the metrics.jsonl of each run, by label.
      key: the scalar to draw.
      title: above the plot; default the key.

    Raises:
      ValueError: no run, a run without `key`, a broken line, or a wrong suffix.
      ImportError: the extra `report` is not installed.
    """
    if not runs:
        raise ValueError("runs is empty; expected at least one {label: path of a metrics.jsonl}")
    curves = {label: read_curve(file, key) for label, file in runs.items()}
    figure = style.new_figure(7.0, 4.0)
    axes = figure.add_subplot()
    style.plain_axes(axes)
    lowest, highest = np.inf, 0.0
    for index, (label, (steps, values)) in enumerate(curves.items()):
        colour = style.COLOURS[index % len(style.COLOURS)]
        smooth = running_mean(values)
        if smooth is not values:
            axes.plot(steps, values, color=colour, alpha=0.25, linewidth=0.8)
        axes.plot(steps, smooth, color=colour, linewidth=1.7, label=label)
        finite = values[np.isfinite(values)]
        lowest, highest = finite.min(initial=lowest), finite.max(initial=highest)
    if lowest > 0 and highest > 10 * lowest:
        axes.set_yscale("log")
    axes.set_xlabel("step", color=style.INK)
    axes.set_title(title or key, loc="left", size=11)
    if len(curves) > 1:
        axes.legend(frameon=False, fontsize=9)
    figure.tight_layout()
    with style.writing(path, ".png") as partial:
        figure.savefig(partial, dpi=130)


def read_curve(path: str | os.PathLike[str], key: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values of the lines of a metrics.jsonl that have `key`.

    A last line cut off by an interruption is left out.

    Raises:
      ValueError: no line has `key`, or a line is not JSON.
    """
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    points, keys = [], set()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            if number == len(lines):
                break
            raise ValueError(
                f"{os.fspath(path)}, line {number} is not JSON: {line[:80]}"
            ) from error
        keys |= record.keys()
        if key in record:
            value = record[key]
            points.append((record["step"], np.nan if value is None else float(value)))
    if not points:
        raise ValueError(
            f"{os.fspath(path)} has no {key!r}; it has {', '.join(sorted(keys)) or 'no lines'}"
        )
    steps, values = np.asarray(points, np.float64).T
    return steps, values


def running_mean(values: np.ndarray) -> np.ndarray:
    """Centred mean over a fortieth of the curve, without the NaNs; a short curve is returned."""
    half = len(values) // 80
    if half < 1:
        return values
    known = np.isfinite(values)
    total, count = (
        np.cumsum(np.concatenate([[0.0], a])) for a in (np.where(known, values, 0.0), known)
    )
    index = np.arange(len(values))
    start, stop = np.maximum(index - half, 0), np.minimum(index + half + 1, len(values))
    with np.errstate(invalid="ignore"):
        return (total[stop] - total[start]) / (count[stop] - count[start])
