"""Axes of a user's array: which is which, and the way to (N, T, H, W, C) or (T, H, W, C)."""

import numpy as np

# N samples, T frames, H rows, W columns, C channels. The first axis is the one that is cut up.
LAYOUTS = ("NTHWC", "NTCHW", "NTHW", "THWC", "TCHW", "THW")


def find_layout(shape: tuple[int, ...], layout: str | None) -> str:
    """The layout as given (checked), or as the shape tells it.

    Rank 3 is THW. For ranks 4 and 5 the last axis is taken for the channels if it has 4 entries
    at most, otherwise the axis before the rows and columns if that has 4 at most.

    Raises:
      ValueError: for an unknown layout, a rank that does not fit, or a shape that does not tell.
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
    """A view of `block`, whose axes are those of `layout`, as (..., H, W, C)."""
    if "C" not in layout:
        return block[..., np.newaxis]
    return np.moveaxis(block, layout.index("C") - len(layout), -1)
