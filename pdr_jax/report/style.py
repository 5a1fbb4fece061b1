"""Shared looks: arrays to colours, one matplotlib style, and the error when it is not installed."""

import os
from pathlib import Path
from typing import Any

import numpy as np

COLOURS = ("#3b6fb6", "#d1603d", "#4f9d69", "#8e5ea2", "#c79a2b", "#5b6770")
"""Of the lines of a plot, in order; tellable apart with the common colour blindnesses."""

INK = "#333333"


def require(module: str) -> Any:
    """Imports a module of the extra `report`.

    Raises:
      ImportError: it is not installed; names the extra.
    """
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"pictures need {module.split('.')[0]}, which is not installed: "
            "pip install 'pdr-jax[report]'"
        ) from error


def to_rgb(frames: np.ndarray, low: float, high: float, colormap: str | None = None) -> np.ndarray:
    """(..., H, W, C) to uint8 (..., H, W, 3); NaN becomes magenta.

    Three channels are colours; otherwise the first channel is shown, grey if it is the only one and
    as a heat map ("viridis") if there are more, or in `colormap`.
    """
    unit = (np.asarray(frames, np.float32) - low) / (high - low)
    if unit.shape[-1] == 3 and colormap is None:
        rgb = np.nan_to_num(np.clip(unit, 0, 1))
        missing = np.isnan(unit).any(-1)
    else:
        unit = unit[..., 0]
        name = colormap or ("gray" if frames.shape[-1] == 1 else "viridis")
        rgb = require("matplotlib").colormaps[name](np.nan_to_num(np.clip(unit, 0, 1)))[..., :3]
        missing = np.isnan(unit)
    rgb = np.rint(rgb * 255).astype(np.uint8)
    rgb[missing] = (255, 0, 255)
    return rgb


def new_figure(width: float, height: float) -> Any:
    """A matplotlib figure of that size in inches, outside pyplot's global state."""
    return require("matplotlib.figure").Figure(figsize=(width, height), facecolor="white")


def plain_axes(axes: Any) -> None:
    """Only the two axis lines that carry numbers, in a quiet grey."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#999999")
    axes.tick_params(colors=INK, labelsize=9)
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)


def prepare(path: str | os.PathLike[str], suffix: str) -> Path:
    """The path, its folder made; refused without the right suffix."""
    path = Path(path)
    if path.suffix.lower() != suffix:
        raise ValueError(f"path is {os.fspath(path)!r}; expected a name that ends in {suffix}")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def check_clip(name: str, clip: np.ndarray) -> np.ndarray:
    """The clip as an array (T, H, W, C)."""
    clip = np.asarray(clip, np.float32)
    if clip.ndim != 4 or 0 in clip.shape:
        raise ValueError(f"{name} has shape {clip.shape}; expected one clip (T, H, W, C)")
    return clip


def check_range(data_range: tuple[float, float]) -> tuple[float, float]:
    """(low, high) as floats, refused unless low < high."""
    low, high = (float(bound) for bound in data_range)
    if not low < high:
        raise ValueError(f"data_range is {data_range!r}; expected (low, high) with low < high")
    return low, high
