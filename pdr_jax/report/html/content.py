"""What a page shows, as plain data."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Figures = Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class Run:
    """A run: its settings and its figures.

    Attributes:
      recipe: its settings, JSON types; groups are nested.
      defaults: the settings that such a run has by default; None if there are none.
      curves: steps and values, (n,) each, by the name of what was logged.
      figures: by metric, over all clips; {} if nothing was measured.
      controls: the same of each control: "persistence", "coarse", "mean Y", "shuffled Y".
      per_frame: by metric, at each step of the horizon, (T',).
      persistence: `per_frame` of the last observed frame, repeated.
      errors: of every clip, (clips,), in the figure `Content.error`.
      statistics: those of `pdr_jax.diagnostics.describe`.
      checkpoint: which one is shown, in words.
    """

    recipe: Mapping[str, Any]
    defaults: Mapping[str, Any] | None = None
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]] = dataclasses.field(default_factory=dict)
    figures: Figures = dataclasses.field(default_factory=dict)
    controls: Mapping[str, Figures] = dataclasses.field(default_factory=dict)
    per_frame: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    persistence: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    errors: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0))
    statistics: Figures = dataclasses.field(default_factory=dict)
    checkpoint: str = ""


@dataclasses.dataclass(frozen=True)
class Frames:
    """What a run makes of a clip; frames are (T', H, W, C) in model units.

    Attributes:
      prediction: the predicted frames.
      coarse: the backbone's frames; None without adapter.
      rendered: the Gaussians' frames; None without adapter.
      gaussians: mean (T', N, 2), scale (T', N, 2), rotation (T', N) and amplitude (T', N, C), in
        pixels as in `pdr_jax.report.save_gaussians`; None without adapter.
      tracked: whether Gaussian i of a frame is Gaussian i of the next.
      errors: of each frame, (T',), in the figure `Content.error`; None if it was not measured.
    """

    prediction: np.ndarray
    coarse: np.ndarray | None = None
    rendered: np.ndarray | None = None
    gaussians: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None = None
    tracked: bool = False
    errors: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Clip:
    """A clip and what each run makes of it.

    Attributes:
      title: its place among all clips, and its name.
      inputs: (T, H, W, C), model units.
      truth: (T', H, W, C).
      runs: by label.
    """

    title: str
    inputs: np.ndarray
    truth: np.ndarray
    runs: Mapping[str, Frames]


@dataclasses.dataclass(frozen=True)
class Content:
    """All of a page.

    Attributes:
      title: its heading.
      about: what the figures were measured on, in words.
      data_range: values shown as black and white (or the ends of the heat map).
      runs: by label.
      clips: in order of the first run's error, worst first.
      error: the metric that orders the clips.
      published: rows of published figures that compare with those of the runs.
      notes: what a reader of the figures must know.
    """

    title: str
    about: str
    data_range: tuple[float, float]
    runs: Mapping[str, Run]
    clips: Sequence[Clip]
    error: str = "mse"
    published: Mapping[str, Figures] = dataclasses.field(default_factory=dict)
    notes: Sequence[str] = ()
