"""Axes of a user's array: finding out which is which, and moving the channels last."""

import numpy as np

# N samples, T frames, H rows, W columns, C channels.
LAYOUTS = ("NTHWC", "NTCHW", "NTHW", "THWC", "TCHW", "THW")


def find_layout(shape: tuple[int, ...], layout: str | None) -> str:
    """Checks `layout`, or if it is None, tells the layout from the shape.

    Rank 3 is THW. In ranks 4 and 5 the channels are the last axis if it has at most 4 entries, or
    else the third last if it has at most 4.

    Raises:
      ValueError: the layout is unknown or of another rank, or the shape does not tell the layout.
    """
    if layout is not None:
        if layout not in LAYOUTS:
            raise ValueError(f"layout={layout!r}: expected one of {', '.join(LAYOUTS)}.")
        if len(layout) != len(shape):
            raise ValueError(
                f"layout={layout!r} has {len(layout)} axes, but the array has shape {shape}."
            )
        return layout
    if len(shape) not in (3, 4, 5):
        raise ValueError(
            f"array has shape {shape}: expected (N, T, H, W, C) samples, or one series "
            "(T, H, W, C) or (T, H, W)."
        )
    if len(shape) == 3:
        return "THW"
    samples = "N" * (len(shape) - 4)
    if shape[-1] <= 4:
        return samples + "THWC"
    if shape[-3] <= 4:
        return samples + "TCHW"
    raise ValueError(
        f"array has shape {shape}, from which the channel axis cannot be told. Pass layout= "
        f"one of {', '.join(name for name in LAYOUTS if len(name) == len(shape))}."
    )


def channels_last(block: np.ndarray, layout: str) -> np.ndarray:
    """A view of `block`, whose axes `layout` names, as (..., H, W, C)."""
    if "C" not in layout:
        return block[..., np.newaxis]
    return np.moveaxis(block, layout.index("C") - len(layout), -1)
