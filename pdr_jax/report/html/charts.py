"""Line charts as SVG, drawn in the page's own colours so that they suit light and dark."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from html import escape

import numpy as np

_WIDTH, _HEIGHT = 310, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 10, 8, 38
Place = Callable[[float], float]
_MOST = 300  # points of a line: more cannot be told apart


@dataclasses.dataclass(frozen=True)
class Line:
    """A line of a chart.

    Attributes:
      label: its name in the description.
      x: (n,), ascending.
      y: (n,); NaN leaves a gap.
      style: number of its colour and dashes; None is the grey of a control.
    """

    label: str
    x: np.ndarray
    y: np.ndarray
    style: int | None


def line_chart(title: str, lines: Sequence[Line], x_label: str) -> str:
    """A <figure> with its title; logarithmic where values are positive and span a factor of ten.

    The description, for those who cannot see it, says where each line begins and ends.
    """
    known = [y for line in lines for y in line.y.tolist() if math.isfinite(y)]
    if not known:
        return ""
    x_low = min(float(line.x[0]) for line in lines)
    x_high = max(float(line.x[-1]) for line in lines)
    low, high = min(known), max(known)
    log = low > 0 and high > 10 * low
    margin = 0.04 * (high - low) or 0.1 * abs(high) or 1.0  # a flat line is in the middle
    bottom, top = (low / 1.1, high * 1.1) if log else (low - margin, high + margin)

    def at_x(value: float) -> float:
        share = (value - x_low) / ((x_high - x_low) or 1.0)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def at_y(value: float) -> float:
        share = (value - bottom) / (top - bottom)
        if log:
            share = math.log(value / bottom) / math.log(top / bottom)
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _BOTTOM - _TOP)

    parts = []
    for value in _log_ticks(bottom, top) if log else _ticks(bottom, top):
        y = f"{at_y(value):.1f}"
        parts.append(f'<path class="grid" d="M{_LEFT} {y}H{_WIDTH - _RIGHT}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y}" dy="4" class="end">{value:.5g}</text>')
    for value in _ticks(x_low, x_high, whole=True):
        x, below = f"{at_x(value):.1f}", _HEIGHT - _BOTTOM + 16
        parts.append(f'<text x="{x}" y="{below}" class="middle">{value:.6g}</text>')
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{_HEIGHT - 6}" class="middle">{escape(x_label)}</text>')
    parts += [_path(line, at_x, at_y) for line in lines]
    described = "; ".join(_ends(line) for line in lines)
    return (
        f"<figure><figcaption>{escape(title)}</figcaption>"
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(f"{title} by {x_label}. {described}")}">{"".join(parts)}</svg>'
        "</figure>"
    )


def thinned(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most 300 points of a curve, evenly spread, with the first and the last."""
    chosen = np.unique(np.linspace(0, len(x) - 1, min(_MOST, len(x))).round().astype(int))
    return x[chosen], y[chosen]


def _path(line: Line, at_x: Place, at_y: Place) -> str:
    points, pen = [], "M"
    for x, y in zip(line.x.tolist(), line.y.tolist(), strict=True):
        if not math.isfinite(y):
            pen = "M"
            continue
        points.append(f"{pen}{at_x(x):.1f} {at_y(y):.1f}")
        pen = "L"
    style = "control" if line.style is None else f"series-{line.style % 6}"
    dot = ""
    if len(points) == 1:
        x, y = points[0][1:].split()
        dot = f'<circle class="{style}" cx="{x}" cy="{y}" r="3"/>'
    title = f"<title>{escape(line.label)}</title>"
    return f'<path class="line {style}" d="{"".join(points)}">{title}</path>{dot}'


def _ends(line: Line) -> str:
    finite = line.y[np.isfinite(line.y)]
    if not len(finite):
        return f"{line.label}: no values"
    return f"{line.label}: from {finite[0]:.4g} to {finite[-1]:.4g}"


def _ticks(low: float, high: float, whole: bool = False) -> list[float]:
    """Three to eight round numbers within [low, high]; fewer and whole ones if asked."""
    if high <= low:
        return [low]
    most = (high - low) / (2 if whole else 3)
    power = 10.0 ** math.floor(math.log10(most))
    step = next(m * power for m in (5, 2, 1, 0.5) if m * power <= most)
    if whole:
        step = max(1.0, round(step))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{i * step:.10g}") for i in range(first, last + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten within [low, high], and 2 and 5 times them where there are few."""
    powers = [10.0**k for k in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]
    inside = [power for power in powers if low <= power <= high]
    if len(inside) >= 3:
        return inside
    return [m * power for power in powers for m in (1, 2, 5) if low <= m * power <= high]
