"""The paths of Gaussians that keep their identity over time, drawn over a frame."""

import os

import numpy as np

from pdr_jax.report import style

_COLORMAP = "cool"


def save_tracks(
    path: str | os.PathLike[str],
    frame: np.ndarray,
    *,
    positions: np.ndarray,
    data_range: tuple[float, float],
    first: int = 1,
    cell: int | None = None,
    least: float = 1.0,
    title: str | None = None,
    colormap: str | None = None,
) -> None:
    """Saves the frame with the paths of `choose_tracks` as PNG.

    A path ends in a dot, and its colour tells the time.

    Args:
      path: ends in .png; its folder is made.
      frame: (H, W, C) in model units: the last observed one, or a predicted one.
      positions: (T, N, 2) pixels, of each Gaussian over T >= 2 frames; x right, y down, the centre
        of the top-left pixel is (0, 0).
      data_range: values shown as black and white.
      first: time of the first positions; 0 is the last observed frame.
      cell: as in `choose_tracks`; default a sixteenth of the frame's longer side.
      least: as in `choose_tracks`.
      title: above the picture.
      colormap: of the frame, as in `save_strip`.

    Raises:
      ValueError: shapes that do not fit, or a wrong suffix.
      ImportError: the extra `report` is not installed.
    """
    low, high = style.check_range(data_range)
    frame = style.check_clip("frame", np.asarray(frame)[None])[0]
    height, width = frame.shape[:2]
    cell = cell or -(-max(height, width) // 16)
    chosen = choose_tracks(positions, height, width, cell=cell, least=least)
    tracks = np.asarray(positions, np.float64)[:, chosen]
    last = first + len(tracks) - 1

    matplotlib, collections = map(style.require, ("matplotlib", "matplotlib.collections"))
    scale = 6.0 / max(height, width)
    figure = style.new_figure(max(scale * width, 3.0) + 1.2, scale * height + 0.9)
    axes = figure.add_subplot()
    axes.imshow(style.to_rgb(frame, low, high, colormap), interpolation="nearest")
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(height - 0.5, -0.5)
    axes.set_axis_off()
    segments = np.stack([tracks[:-1], tracks[1:]], 2).reshape(-1, 2, 2)
    times = np.repeat(np.arange(first, last) + 0.5, len(chosen))
    lines = collections.LineCollection(segments, array=times, cmap=_COLORMAP, linewidths=1.2)
    lines.set_clim(first, last)
    axes.add_collection(collections.LineCollection(segments, colors="k", linewidths=2.2))
    axes.add_collection(lines)
    end = matplotlib.colormaps[_COLORMAP](1.0)
    axes.scatter(*tracks[-1].T, s=16, color=[end], edgecolors="k", linewidths=0.6, zorder=3)
    ticks = range(first, last + 1, -(-(last - first) // 10))
    bar = figure.colorbar(lines, ax=axes, fraction=0.04, pad=0.02, ticks=ticks)
    bar.set_label("frame; 0 is the last observed", size=9, color=style.INK)
    bar.ax.tick_params(colors=style.INK, labelsize=8)
    label = (
        f"{len(chosen)} of {np.shape(positions)[1]} Gaussians:\nof each {cell}x{cell} pixels the "
        f"one that goes furthest, if {least:g} px or more"
    )
    axes.set_title(label, size=9, color=style.INK, loc="left")
    if title:
        figure.suptitle(title, size=11, x=0.01, ha="left")
    figure.tight_layout(pad=0.6)
    with style.writing(path, ".png") as partial:
        figure.savefig(partial, dpi=130)


def choose_tracks(
    positions: np.ndarray, height: int, width: int, *, cell: int, least: float = 1.0
) -> np.ndarray:
    """Indices of the Gaussians whose paths are drawn, at most one for each cell of the frame.

    Of the Gaussians that start in a square cell, it is the one that gets furthest from its start,
    if that is `least` pixels or more. Those that start outside the frame are left out.

    Args:
      positions: (T, N, 2) pixels.
      height: of the frame, pixels.
      width: of the frame, pixels.
      cell: side of a cell in pixels.
      least: pixels.

    Raises:
      ValueError: positions of another shape or fewer than two frames.
    """
    positions = np.asarray(positions, np.float64)
    if positions.ndim != 3 or positions.shape[-1] != 2 or len(positions) < 2:
        raise ValueError(
            f"positions has shape {positions.shape}; expected (T, N, 2) with two frames or more"
        )
    x, y = np.moveaxis(positions[0], -1, 0)
    reach = np.linalg.norm(positions - positions[0], axis=-1).max(0)
    inside = (x >= -0.5) & (x < width - 0.5) & (y >= -0.5) & (y < height - 0.5)
    moving = np.flatnonzero(inside & (reach >= least))
    furthest_first = moving[np.argsort(-reach[moving], kind="stable")]
    cells = np.floor((positions[0, furthest_first] + 0.5) / cell)
    _, first = np.unique(cells, axis=0, return_index=True)
    return np.sort(furthest_first[first])
