"""What the figures of a run mean, in words."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from pdr_jax.report.html.content import Figures, Run

SAME = 0.01
"""Relative difference of an error below which two predictions count as equally good."""


class Finding(NamedTuple):
    """A sentence or two, and whether they are "good" news, "bad", a "warning" or just a "note"."""

    level: str
    text: str


def findings(run: Run, error: str) -> list[Finding]:
    """What is worth saying of a run.

    Args:
      run: its figures, controls, curves and statistics; what is missing is not spoken of.
      error: the metric that is compared, lower being better.
    """
    found: list[Finding] = []
    worthless = False
    if error in run.figures:
        found += _against_the_last_frame(run, error)
        worthless = any(each.level == "bad" for each in found)
        found += _renderer(run.figures[error], run.controls, error)
    if "sharpness" in run.figures:
        found.append(_sharpness(run.figures["sharpness"], worthless))
    found += _gaussians(run.statistics)
    return found + list(_training(run.curves))


def _against_the_last_frame(run: Run, error: str) -> Iterator[Finding]:
    still = run.controls.get("persistence", {}).get(error)
    if not still:
        return
    gain = 1 - run.figures[error] / still
    if gain > SAME:
        yield Finding("good", f"It beats repeating the last frame: {error} is {gain:.0%} lower.")
    else:
        yield Finding(
            "bad",
            f"It is no better than repeating the last frame: {error} is {run.figures[error]:.4g}, "
            f"and that of the last frame {still:.4g}.",
        )


def _renderer(own: float, controls: Mapping[str, Figures], error: str) -> Iterator[Finding]:
    if not own:
        return
    rise = {name: row[error] / own - 1 for name, row in controls.items() if error in row}
    shuffled, mean = rise.get("shuffled Y"), rise.get("mean Y")
    if shuffled is not None and abs(shuffled) < SAME:
        yield Finding(
            "bad",
            f"The renderer is not used: with the rendered frames of another clip {error} changes "
            f"by {abs(shuffled):.1%} only.",
        )
    elif mean is not None and abs(mean) < SAME:
        yield Finding(
            "bad",
            f"The renderer draws one static picture: with the mean of all rendered frames {error} "
            f"changes by {abs(mean):.1%} only.",
        )
    elif shuffled is not None and shuffled > 0:
        yield Finding(
            "good",
            f"The renderer is used: with the rendered frames of another clip {error} rises by "
            f"{shuffled:.0%}.",
        )
    elif shuffled is not None:
        yield Finding(
            "warning",
            f"The renderer does harm: with the rendered frames of another clip {error} falls by "
            f"{-shuffled:.0%}.",
        )
    coarse = rise.get("coarse")
    if coarse is not None:
        more = f"{coarse:.0%} higher" if coarse >= 0 else f"{-coarse:.0%} lower"
        yield Finding("note", f"The coarse frames alone, without Gaussians, have {error} {more}.")


def _sharpness(sharpness: float, worthless: bool) -> Finding:
    said = f"edges are {sharpness:.0%} as strong as in the truth"
    if sharpness < 0.8:
        return Finding("warning", f"The predictions are blurred: {said}.")
    if sharpness > 1.2:
        return Finding("warning", f"The predictions are too rough: {said}.")
    level = "note" if worthless else "good"
    return Finding(level, f"The predictions are about as sharp as the truth: {said}.")


_WARNINGS: tuple[tuple[str, Callable[[float], bool], str], ...] = (
    ("position_std", lambda v: v < 0.1, "The Gaussians hardly move: {:.2g} px over all frames."),
    ("outside", lambda v: v > 0.3, "{:.0%} of the Gaussians are centred outside the frame."),
    ("position_at_border", lambda v: v > 0.2, "{:.0%} of the Gaussians are stuck at the border."),
    ("scale_saturated", lambda v: v > 0.2, "{:.0%} of the scales are at an end of their range."),
    ("coverage_holes", lambda v: v > 0.05, "{:.0%} of the pixels are holes between Gaussians."),
    ("gate_mean", lambda v: v < 0.02, "The gate takes {:.1%} from the rendered frames."),
    ("rendered_share", lambda v: v < 0.02, "The fusion takes {:.1%} from the rendered frames."),
)


def _gaussians(statistics: Figures) -> Iterator[Finding]:
    for name, wrong, text in _WARNINGS:
        if name in statistics and wrong(statistics[name]):
            yield Finding("warning", text.format(statistics[name]))
    if "sigma_p50" in statistics:
        low, middle, high = (statistics[f"sigma_p{p}"] for p in ("05", "50", "95"))
        yield Finding(
            "note",
            f"Standard deviations of the Gaussians: {middle:.2g} px in the middle, nine of ten "
            f"from {low:.2g} to {high:.2g} px.",
        )
    if "track_speed" in statistics:
        speed = statistics["track_speed"]
        yield Finding("note", f"The Gaussians move by {speed:.2g} px a frame on average.")


def _training(curves: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Iterator[Finding]:
    for name, (_, values) in curves.items():
        finite = values[np.isfinite(values)]
        if name != "loss" and len(finite) > 2 and finite[-1] == finite.min():
            yield Finding("note", f"{name} was lowest at the end: longer training may help.")
