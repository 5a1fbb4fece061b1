"""Axes of a user's array: finding out which is which, and moving the channels last."""

from typing import Any

import numpy as np

# N samples, T frames, H rows, W columns, C channels.
AXES = ("NTHWC", "NTCHW", "NCTHW", "NTHW", "THWC", "TCHW", "THW")
CHANNELS = 4  # at most, where they are told from the shape
_STRIP = 4  # a frame is a strip if one side is that many times the other


def find_axes(shape: tuple[int, ...], axes: Any, frames: int) -> str:
    """Checks `axes`, or if it is None, tells the axes from the shape.

    Rank 3 is THW. In ranks 4 and 5 an axis of 1 to 4 entries may hold the channels: the last axis,
    (N)THWC; else the third last, (N)TCHW, or in rank 5 the second, NCTHW. The shape tells the axes
    if just one of these fits. It does not if

    * the axis in question could hold frames instead: (100, 4, 32, 32) is a series of 4 channels,
      or clips of 4 frames (NTHW). Clips of fewer than `frames` frames are no such alternative.
    * no axis is that short: (100, 20, 64, 64) is grey clips, or a series of 20 channels.
    * the frames are strips, and would be none if time came last: (64, 64, 4).

    Args:
      shape: of the array.
      axes: one of AXES, or None.
      frames: that a clip must have: in_length + out_length.

    Raises:
      ValueError: `axes` is unknown or of another rank, or the shape does not tell the axes; the
        message says how the array could be read.
    """
    if axes is not None:
        if axes not in AXES:
            raise ValueError(f"axes={axes!r}: expected one of {', '.join(AXES)}.")
        if len(axes) != len(shape):
            raise ValueError(f"axes={axes!r}: has {len(axes)} axes; the array's shape is {shape}.")
        return axes
    if len(shape) not in (3, 4, 5):
        raise ValueError(
            f"array has shape {shape}: expected (N, T, H, W, C) samples, or one series "
            "(T, H, W, C) or (T, H, W)."
        )
    if len(shape) == 3:
        told = "THW"
    elif shape[-1] <= CHANNELS:
        told = "N" * (len(shape) - 4) + "THWC"
    else:
        told = _told(shape, frames)
    time = told.index("T")
    if told[time : time + 3] == "THW":
        t, height, width = shape[time : time + 3]
        if _is_strip(height, width) and not _is_strip(t, height):
            raise ValueError(
                f"array has shape {shape}: it is {describe(shape, told)}, unless time comes last. "
                f"Pass axes={told!r} if this is right, or move time to its place: "
                f"np.moveaxis(array, {time + 2}, {time})."
            )
    return told


def describe(shape: tuple[int, ...], axes: str) -> str:
    """How an array is read: "100 clips of 8 x 32 x 32 x 3", "one series of 9 frames of ..."."""
    sizes = {"C": 1, **dict(zip(axes, shape, strict=True))}
    frame = " x ".join(str(sizes[axis]) for axis in "HWC")
    if "N" in axes:
        return f"{sizes['N']} clips of {sizes['T']} x {frame}"
    return f"one series of {sizes['T']} frames of {frame}"


def channels_last(block: np.ndarray, axes: str) -> np.ndarray:
    """A view of `block`, whose axes `axes` names, as (..., H, W, C)."""
    if "C" not in axes:
        return block[..., np.newaxis]
    return np.moveaxis(block, axes.index("C") - len(axes), -1)


def _told(shape: tuple[int, ...], frames: int) -> str:
    """The only axes that fit; of rank 4 or 5, and the last axis does not hold the channels."""
    rank = len(shape)
    fitting = [
        axes
        for axes in ("TCHW", "NTHW", "NTCHW", "NCTHW")
        if len(axes) == rank
        and shape[axes.index("T")] >= frames
        and ("C" not in axes or shape[axes.index("C")] <= CHANNELS)
    ]
    if len(fitting) == 1 and "C" in fitting[0]:
        return fitting[0]
    readings = [axes for axes in AXES if len(axes) == rank and shape[axes.index("T")] >= frames]
    readings = fitting if len(fitting) > 1 else readings or [a for a in AXES if len(a) == rank]
    raise ValueError(
        f"array has shape {shape}, which does not tell its axes. Pass axes=, one of "
        f"{', '.join(f'{axes} ({describe(shape, axes)})' for axes in readings)}."
    )


def _is_strip(height: int, width: int) -> bool:
    return max(height, width) >= _STRIP * min(height, width)
