"""The Gaussians of one frame, drawn as ellipses over it."""

import os

import numpy as np

from pdr_jax.report import style


def save_gaussians(
    path: str | os.PathLike[str],
    frame: np.ndarray,
    *,
    mean: np.ndarray,
    scale: np.ndarray,
    rotation: np.ndarray,
    amplitude: np.ndarray,
    data_range: tuple[float, float],
    rendered: np.ndarray | None = None,
    sigmas: float = 1.0,
    title: str | None = None,
    colormap: str | None = None,
) -> None:
    """Saves the frame with an ellipse for each Gaussian as PNG.

    An ellipse is the line of `sigmas` standard deviations. It is orange where the amplitude's mean
    over channels is positive and blue where it is negative; small amplitudes are faint.

    Args:
      path: ends in .png; its folder is made.
      frame: (H, W, C) in model units.
      mean: (N, 2) pixels; x right, y down, the centre of the top-left pixel is (0, 0).
      scale: (N, 2) standard deviations in pixels along the Gaussian's own axes.
      rotation: (N,) radians, R = [[cos, -sin], [sin, cos]] from own axes to (x, y).
      amplitude: (N, C).
      data_range: values shown as black and white.
      rendered: (H, W, C), what the Gaussians draw; shown beside the frame, in `data_range`.
      sigmas: size of the ellipses in standard deviations.
      title: above the picture.
      colormap: as in `save_strip`.

    Raises:
      ValueError: shapes that do not fit, or a wrong suffix.
      ImportError: the extra `report` is not installed.
    """
    low, high = style.check_range(data_range)
    frame = style.check_clip("frame", np.asarray(frame)[None])[0]
    outlines = ellipses(mean, scale, rotation, sigmas=sigmas)
    amplitude = np.asarray(amplitude, np.float64)
    if amplitude.ndim != 2 or len(amplitude) != len(outlines):
        raise ValueError(f"amplitude has shape {amplitude.shape}; expected ({len(outlines)}, C)")
    strength = amplitude.mean(-1)
    relative = np.abs(strength) / max(np.abs(strength).max(initial=0.0), 1e-12)
    rgba = np.where(
        strength[:, None] >= 0, np.array([[1.0, 0.55, 0.1]]), np.array([[0.2, 0.65, 1.0]])
    )
    rgba = np.concatenate([rgba, 0.15 + 0.85 * relative[:, None]], axis=-1)

    height, width = frame.shape[:2]
    pictures = [frame] if rendered is None else [frame, np.asarray(rendered)]
    panel = 5.0
    figure = style.new_figure(panel * len(pictures), panel * height / width + 0.75)
    collections = style.require("matplotlib.collections")
    inside = np.all(
        (np.asarray(mean) >= -0.5) & (np.asarray(mean) <= (width - 0.5, height - 0.5)), -1
    )
    for index, picture in enumerate(pictures):
        axes = figure.add_subplot(1, len(pictures), index + 1)
        axes.imshow(style.to_rgb(picture, low, high, colormap), interpolation="nearest")
        axes.set_xlim(-0.5, width - 0.5)
        axes.set_ylim(height - 0.5, -0.5)
        axes.set_axis_off()
        if index == 0:
            axes.add_collection(collections.LineCollection(outlines, colors=rgba, linewidths=0.9))
            outside = f", {(~inside).sum()} centred outside" if (~inside).any() else ""
            label = (
                f"{len(outlines)} Gaussian{'s'[: len(outlines) != 1]} at {sigmas:g} sigma{outside}"
            )
        else:
            label = "rendered"
        axes.set_title(label, size=10, color=style.INK, loc="left")
    if title:
        figure.suptitle(title, size=11, x=0.01, ha="left")
    figure.tight_layout(pad=0.6)
    with style.writing(path, ".png") as partial:
        figure.savefig(partial, dpi=130)


def ellipses(
    mean: np.ndarray, scale: np.ndarray, rotation: np.ndarray, *, sigmas: float = 1.0
) -> np.ndarray:
    """Outlines (N, 49, 2) in pixels, closed: mean + sigmas R diag(scale) (cos, sin).

    Args:
      mean: (N, 2).
      scale: (N, 2).
      rotation: (N,).
      sigmas: size in standard deviations.

    Raises:
      ValueError: shapes that do not fit.
    """
    mean, scale, rotation = (np.asarray(a, np.float64) for a in (mean, scale, rotation))
    count = len(rotation) if rotation.ndim == 1 else -1
    if mean.shape != (count, 2) or scale.shape != (count, 2):
        raise ValueError(
            f"mean, scale, rotation have shapes {mean.shape}, {scale.shape}, {rotation.shape}; "
            "expected (N, 2), (N, 2), (N,): the Gaussians of one frame"
        )
    angle = np.linspace(0.0, 2 * np.pi, 49)
    own = sigmas * scale[:, None] * np.stack([np.cos(angle), np.sin(angle)], -1)[None]
    cos, sin = np.cos(rotation)[:, None], np.sin(rotation)[:, None]
    x = cos * own[..., 0] - sin * own[..., 1]
    y = sin * own[..., 0] + cos * own[..., 1]
    return mean[:, None] + np.stack([x, y], -1)
