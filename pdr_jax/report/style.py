"""What all pictures share: colours, one matplotlib style, checks, and how files are written."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pdr_jax.files import replacing

COLOURS = ("#3b6fb6", "#d1603d", "#4f9d69", "#8e5ea2", "#c79a2b", "#5b6770")
"""Of the lines of a plot, in order; they differ under common colour blindness too."""

INK = "#333333"

MISSING = (152, 164, 186)
"""The colour of NaN: a bluish grey, which is in no colour map."""


def require(module: str) -> Any:
    """Imports a module of the extra `report`.

    Raises:
      ImportError: the module is not installed; the message names the extra.
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
    """(..., H, W, C) to uint8 (..., H, W, 3); NaN becomes `MISSING`.

    Three channels are colours. Otherwise the first channel is shown in `colormap`; the default is
    grey for one channel and the heat map "viridis" for more.
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
    rgb[missing] = MISSING
    return rgb


def new_figure(width: float, height: float) -> Any:
    """A matplotlib figure of that size in inches, outside pyplot's global state."""
    return require("matplotlib.figure").Figure(figsize=(width, height), facecolor="white")


def plain_axes(axes: Any) -> None:
    """Leaves only the two axis lines that carry numbers, in grey, and a pale grid."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#999999")
    axes.tick_params(colors=INK, labelsize=9)
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)


def prepare(path: str | os.PathLike[str], suffix: str) -> Path:
    """Makes the folder of `path` and returns the path.

    Raises:
      ValueError: the name does not end in `suffix`.
    """
    path = Path(path)
    if path.suffix.lower() != suffix:
        raise ValueError(f"path is {os.fspath(path)!r}; expected a name that ends in {suffix}")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@contextlib.contextmanager
def writing(path: str | os.PathLike[str], suffix: str) -> Iterator[Path]:
    """A path to write to, which takes the place of `path` at the end; errors as in `prepare`."""
    with replacing(prepare(path, suffix)) as partial:
        yield partial


def check_clip(name: str, clip: np.ndarray) -> np.ndarray:
    """The clip as an array (T, H, W, C), float32; refused in another shape."""
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
