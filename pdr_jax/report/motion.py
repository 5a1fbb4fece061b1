"""Colours of a motion field: the direction is the hue, the speed the brightness."""

import numpy as np

from pdr_jax.report import style


def motion_colours(motion: np.ndarray, fastest: float) -> np.ndarray:
    """(..., 2) to uint8 (..., 3): black at rest, brightest at `fastest` and beyond.

    To the right is red, down yellow-green, to the left cyan, up violet; NaN is grey.

    Args:
      motion: pixels a frame; x right, y down.
      fastest: pixels a frame.
    """
    motion = np.asarray(motion, np.float64)
    x, y = np.moveaxis(np.nan_to_num(motion), -1, 0)
    hue = np.arctan2(y, x) / (2 * np.pi) % 1.0
    brightness = np.clip(np.hypot(x, y) / fastest, 0.0, 1.0)
    hsv = np.stack([hue, np.ones_like(hue), brightness], -1)
    rgb = np.rint(255 * style.require("matplotlib.colors").hsv_to_rgb(hsv)).astype(np.uint8)
    rgb[np.isnan(motion).any(-1)] = style.MISSING
    return rgb


def motion_wheel(size: int = 128) -> np.ndarray:
    """(size, size, 3) uint8: the colour of each direction, in that direction from the centre."""
    axis = np.linspace(-1.0, 1.0, size)
    motion = np.stack(np.meshgrid(axis, axis), -1)
    wheel = motion_colours(motion, 1.0)
    wheel[np.hypot(*np.moveaxis(motion, -1, 0)) > 1.0] = 255
    return wheel
