"""One test clip as a picture: what was observed and what followed, plain and PDR side by side."""

from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from pdr_jax.evaluation import predictors
from pdr_jax.gaussians import Gaussians2D
from pdr_jax.pdr import PDROutput
from pdr_jax.report import style
from pdr_jax.report.tracks import choose_tracks
from pdr_jax.runs.state import load
from pdr_jax.task import Task

OBSERVED, FUTURE = 3, 5
"""Frames shown of each: the last observed ones, and future ones evenly spread."""


def draw(plain: Path, pdr: Path, dataset: Any, path: Path, *, clip: int) -> None:
    """Saves truth, both predictions and what the Gaussians draw; and the Gaussians' paths.

    Args:
      plain: run folder of the plain predictor.
      pdr: run folder of PDR, with the same data and lengths.
      dataset: of both.
      path: of the picture, PNG.
      clip: which test clip.
    """
    task, observed, truth, output = _predict(pdr, dataset, clip)
    _, _, _, without = _predict(plain, dataset, clip)
    assert output.rendered is not None
    rows = {
        "truth": truth,
        "plain": np.asarray(without.prediction[0]),
        "PDR": np.asarray(output.prediction[0]),
        "Gaussians": np.asarray(output.rendered[0]),
    }
    low, high = task.dataset.data_range
    shown = np.linspace(0, len(truth) - 1, min(FUTURE, len(truth))).round().astype(int)
    figure = style.new_figure(9.0, 4.6)
    grid = figure.add_gridspec(
        len(rows), OBSERVED + len(shown), left=0.035, right=0.9, top=0.95, bottom=0.01,
        wspace=0.05, hspace=0.05,
    )  # fmt: skip

    def show(place: Any, frame: np.ndarray, title: str = "") -> Any:
        axes = figure.add_subplot(place)
        axes.imshow(style.to_rgb(frame, low, high), interpolation="nearest")
        axes.set_title(title, size=9, color=style.INK, pad=3)
        axes.set(xticks=[], yticks=[], anchor="C")
        axes.spines[:].set_visible(False)
        return axes

    for column, frame in enumerate(observed[-OBSERVED:]):
        axes = show(grid[0, column], frame, f"{column - OBSERVED + 1}")
        if column == 0:
            axes.set_ylabel("input", size=10, color=style.INK)
    for row, (name, frames) in enumerate(rows.items()):
        for column, time in enumerate(shown):
            title = f"+{time + 1}" if row == 0 else ""
            axes = show(grid[row, OBSERVED + column], frames[time], title)
        axes.yaxis.set_label_position("right")
        axes.set_ylabel(name, size=10, color=style.INK, rotation=0, ha="left", va="center")
    axes = show(grid[1:, :OBSERVED], observed[-1], "where the Gaussians of the last frame go")
    _draw_paths(axes, output.gaussians, observed.shape[1:3])
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=200, metadata={"Software": None})


def _predict(run: Path, dataset: Any, clip: int) -> tuple[Task, np.ndarray, np.ndarray, PDROutput]:
    """The task, observed frames, true future and outputs of a run's last state on a test clip."""
    task, state = load(run, dataset=dataset, which="last")
    assert task.test is not None
    frames = jnp.asarray(task.test[clip]["frames"])[None]
    observed, truth = task.clip.split(frames)
    output = predictors.apply(
        task.model, state.variables(), observed, task.clip.horizon, "decompose"
    )
    return task, np.asarray(observed[0]), np.asarray(truth[0]), output


def _draw_paths(axes: Any, gaussians: Gaussians2D | None, size: tuple[int, ...]) -> None:
    assert gaussians is not None
    height, width = size
    positions = np.asarray(gaussians.pixels()[0][0])  # (T, N, 2)
    chosen = choose_tracks(positions, height, width, cell=-(-max(size) // 8))
    paths = np.moveaxis(positions[:, chosen], 0, 1)
    lines = style.require("matplotlib.collections").LineCollection
    axes.add_collection(lines(paths, colors="k", linewidths=2.0))
    axes.add_collection(lines(paths, colors="#ff9a1a", linewidths=1.1))
    axes.scatter(*paths[:, -1].T, s=9, color="#ff9a1a", edgecolors="k", linewidths=0.5, zorder=3)
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
