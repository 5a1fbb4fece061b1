"""Several predictions of one clip, below each other."""

import os
from collections.abc import Mapping

import numpy as np

from pdr_jax.report import style
from pdr_jax.report.rows import Row, save_rows


def save_comparison(
    path: str | os.PathLike[str],
    *,
    truth: np.ndarray,
    predictions: Mapping[str, np.ndarray],
    data_range: tuple[float, float],
    inputs: np.ndarray | None = None,
    steps: int = 10,
    title: str | None = None,
    colormap: str | None = None,
) -> None:
    """Saves observed frames, truth and every prediction as rows of frames over time, PNG.

    Args:
      path: ends in .png; its folder is made.
      truth: (T, H, W, C) in model units.
      predictions: by name, each (T, H, W, C).
      data_range: values shown as black and white (or the ends of the heat map).
      inputs: (T_in, H, W, C).
      steps: the most columns, spread evenly over time.
      title: above the picture.
      colormap: as in `pdr_jax.report.save_strip`.

    Raises:
      ValueError: arrays that do not fit each other, or a wrong suffix.
      ImportError: the extra `report` is not installed.
    """
    low, high = style.check_range(data_range)
    truth = style.check_clip("truth", truth)
    rows = []

    def add(label: str, clip: np.ndarray, first: int) -> None:
        chosen = np.unique(np.linspace(0, len(clip) - 1, min(steps, len(clip))).round().astype(int))
        times = [f"{first + i:+d}" if first + i else "0" for i in chosen]
        rows.append(Row(label, style.to_rgb(clip[chosen], low, high, colormap), times))

    if inputs is not None:
        add("input", style.check_clip("inputs", inputs), 1 - len(inputs))
    for name, clip in {"truth": truth, **predictions}.items():
        clip = style.check_clip(name, clip)
        if clip.shape != truth.shape:
            raise ValueError(f"{name} has shape {clip.shape}; expected {truth.shape}, as truth")
        add(name, clip, 1)
    save_rows(path, rows, title)
