"""A clip as a labelled strip of frames (PNG) and as an animation (GIF)."""

import os

import numpy as np

from pdr_jax.report import style

_ERROR_COLORMAP = "inferno"
_GAP = 2
"""Pixels of the enlarged picture between two frames."""


def save_strip(
    path: str | os.PathLike[str],
    *,
    prediction: np.ndarray,
    data_range: tuple[float, float],
    truth: np.ndarray | None = None,
    inputs: np.ndarray | None = None,
    coarse: np.ndarray | None = None,
    rendered: np.ndarray | None = None,
    steps: int = 10,
    title: str | None = None,
    error_max: float | None = None,
    colormap: str | None = None,
) -> None:
    """Saves rows input / truth / coarse / rendered / prediction / |error| over time as PNG.

    All rows share `data_range`, with one exception: a coarse or rendered row of which more than a
    tenth lies outside takes its own range, written beside it. A fusion layer follows these rows, so
    they need not look like frames.

    Args:
      path: ends in .png; its folder is made.
      prediction: (T, H, W, C) in model units.
      data_range: values shown as black and white (or the ends of the heat map).
      truth: (T, H, W, C); without it there is no error row.
      inputs: (T_in, H, W, C).
      coarse: (T, H, W, C), the backbone's frames.
      rendered: (T, H, W, C), the Gaussians' frames.
      steps: the most columns, spread evenly over time.
      title: above the picture.
      error_max: absolute error (mean over RGB channels) shown as brightest. The default, a quarter
        of the data range, lets pictures of different runs be compared.
      colormap: matplotlib's name. Default: grey for one channel, colours for three, else a heat map
        of the first channel.

    Raises:
      ValueError: arrays that do not fit each other, or a wrong suffix.
      ImportError: the extra `report` is not installed.
    """
    low, high = style.check_range(data_range)
    error_max = (high - low) / 4 if error_max is None else error_max
    prediction = style.check_clip("prediction", prediction)
    rows: list[tuple[str, np.ndarray, list[str]]] = []

    def add(
        label: str,
        clip: np.ndarray,
        times: np.ndarray,
        bounds: tuple[float, float],
        colormap: str | None = colormap,
    ) -> None:
        chosen = np.unique(np.linspace(0, len(clip) - 1, min(steps, len(clip))).round().astype(int))
        picture = style.to_rgb(clip[chosen], *bounds, colormap=colormap)
        rows.append((label, picture, [f"{times[i]:+d}" if times[i] else "0" for i in chosen]))

    if inputs is not None:
        inputs = style.check_clip("inputs", inputs)
        add("input", inputs, np.arange(1 - len(inputs), 1), (low, high))
    times = np.arange(1, len(prediction) + 1)
    named = {"truth": truth, "coarse": coarse, "rendered": rendered, "prediction": prediction}
    for name, clip in named.items():
        if clip is None:
            continue
        clip = _like(prediction, name, clip)
        bounds, label = (low, high), name
        if name in ("coarse", "rendered") and _mostly_outside(clip, low, high):
            bounds = tuple(np.nanpercentile(clip, (0.5, 99.5)))
            label = f"{name}\n{bounds[0]:.2g} … {bounds[1]:.2g}"
        add(label, clip, times, bounds)
    if truth is not None:
        error = _error(prediction, _like(prediction, "truth", truth))
        add(f"|error|\n0 … {error_max:.2g}", error, times, (0.0, error_max), _ERROR_COLORMAP)
    if prediction.shape[-1] not in (1, 3):
        title = ", ".join([*([title] if title else []), f"channel 0 of {prediction.shape[-1]}"])
    _draw_rows(path, rows, title)


def save_gif(
    path: str | os.PathLike[str],
    *,
    prediction: np.ndarray,
    data_range: tuple[float, float],
    truth: np.ndarray | None = None,
    inputs: np.ndarray | None = None,
    frames_per_second: float = 6.0,
    error_max: float | None = None,
    colormap: str | None = None,
) -> None:
    """Saves truth | prediction | |error| side by side as a GIF that loops.

    Observed frames, if given, come first, with the other panels empty.

    Args:
      path: ends in .gif; its folder is made.
      prediction: (T, H, W, C) in model units.
      data_range: values shown as black and white (or the ends of the heat map).
      truth: (T, H, W, C); without it only the prediction is shown.
      inputs: (T_in, H, W, C).
      frames_per_second: of the animation; the last frame is held for a second.
      error_max: as in `save_strip`.
      colormap: as in `save_strip`.

    Raises:
      ValueError: arrays that do not fit each other, or a wrong suffix.
      ImportError: the extra `report` is not installed.
    """
    low, high = style.check_range(data_range)
    error_max = (high - low) / 4 if error_max is None else error_max
    prediction = style.check_clip("prediction", prediction)
    panels = {"prediction": style.to_rgb(prediction, low, high, colormap)}
    if truth is not None:
        truth = _like(prediction, "truth", truth)
        error = _error(prediction, truth)
        panels = {
            "truth": style.to_rgb(truth, low, high, colormap),
            **panels,
            f"|error| 0 … {error_max:.2g}": style.to_rgb(error, 0, error_max, _ERROR_COLORMAP),
        }
    observed: np.ndarray | tuple[()] = ()
    if inputs is not None:
        observed = style.to_rgb(style.check_clip("inputs", inputs), low, high, colormap)
    height, width = prediction.shape[1:3]
    zoom = _zoom(height, width, len(panels), 780)
    pictures = []
    for time in range(1 - len(observed), len(prediction) + 1):
        if time <= 0:
            shown = [("input", observed[time - 1]), *[("", None)] * (len(panels) - 1)]
        else:
            shown = [(label, clip[time - 1]) for label, clip in panels.items()]
        pictures.append(_side_by_side(shown, zoom, (height, width), f"{time:+d}"))
    durations = [1000.0 / frames_per_second] * len(pictures)
    durations[-1] = max(1000.0, durations[-1])
    with style.writing(path, ".gif") as partial:
        imageio = style.require("imageio.v3")
        imageio.imwrite(partial, np.stack(pictures), duration=durations, loop=0)


def _like(prediction: np.ndarray, name: str, clip: np.ndarray) -> np.ndarray:
    clip = style.check_clip(name, clip)
    if clip.shape != prediction.shape:
        raise ValueError(
            f"{name} has shape {clip.shape}; expected {prediction.shape}, as prediction"
        )
    return clip


def _error(prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(T, H, W, 1): absolute error of the channels that `style.to_rgb` shows."""
    error = np.abs(prediction - truth)
    return error.mean(-1, keepdims=True) if error.shape[-1] == 3 else error[..., :1]


def _mostly_outside(clip: np.ndarray, low: float, high: float) -> bool:
    return bool(np.mean((clip < low) | (clip > high)) > 0.1)


def _zoom(height: int, width: int, columns: int, total_width: int) -> int:
    """Screen pixels per pixel of a frame: a whole number, so that all pixels look alike.

    The picture is about `total_width` wide, and a frame at most a third of that high.
    """
    return max(1, min(round(total_width / (width * columns)), total_width // (3 * height)))


def _draw_rows(
    path: str | os.PathLike[str], rows: list[tuple[str, np.ndarray, list[str]]], title: str | None
) -> None:
    columns = max(len(row) for _, row, _ in rows)
    height, width = rows[0][1].shape[1:3]
    zoom = min(_zoom(height, width, columns, 1100), max(1, 160 // height))
    cell_height, cell_width = zoom * height + _GAP, zoom * width + _GAP
    dpi, left, top = 100, 100, 50 if title else 26
    # The times are written above a row where they differ from the row above.
    heads = [i == 0 or rows[i][2] != rows[i - 1][2] for i in range(len(rows))]
    extra = 20 * (sum(heads) - 1)
    total_width = left + columns * cell_width + 6
    total_height = top + len(rows) * cell_height + extra + 6
    figure = style.new_figure(total_width / dpi, total_height / dpi)
    if title:
        figure.text(left / total_width, 1 - 9 / total_height, title, va="top", size=11, color="k")
    y = top
    for index, (label, row, times) in enumerate(rows):
        y += 20 if heads[index] and index else 0
        for column, frame in enumerate(row):
            x = left + column * cell_width
            picture = frame.repeat(zoom, 0).repeat(zoom, 1)
            bottom = total_height - y - picture.shape[0]
            figure.figimage(picture, xo=x, yo=bottom, origin="upper", resize=False)
            if heads[index]:
                figure.text(
                    (x + picture.shape[1] / 2) / total_width,
                    1 - (y - 4) / total_height,
                    times[column],
                    ha="center",
                    va="bottom",
                    size=8,
                    color=style.INK,
                )
        figure.text(
            (left - 8) / total_width,
            1 - (y + zoom * height / 2) / total_height,
            label,
            ha="right",
            va="center",
            size=9,
            color=style.INK,
        )
        y += cell_height
    with style.writing(path, ".png") as partial:
        figure.savefig(partial, dpi=dpi)


def _side_by_side(
    panels: list[tuple[str, np.ndarray | None]], zoom: int, size: tuple[int, ...], time: str
) -> np.ndarray:
    """Panels (H, W, 3) uint8 with their labels above and the time at the right."""
    image_module, draw_module, font_module = (
        style.require(f"PIL.{name}") for name in ("Image", "ImageDraw", "ImageFont")
    )
    height, width, head, gap = size[0] * zoom, size[1] * zoom, 22, 6
    shape = (head + height, len(panels) * (width + gap) - gap, 3)
    canvas = np.full(shape, 255, np.uint8)
    for index, (_, panel) in enumerate(panels):
        x = index * (width + gap)
        canvas[head:, x : x + width] = (
            235 if panel is None else panel.repeat(zoom, 0).repeat(zoom, 1)
        )
    picture = image_module.fromarray(canvas)
    draw, font = draw_module.Draw(picture), font_module.load_default(13)
    for index, (label, _) in enumerate(panels):
        draw.text((index * (width + gap) + 3, 3), label, fill=style.INK, font=font)
    draw.text((shape[1] - 3, 3), time, fill=style.INK, font=font, anchor="ra")
    return np.asarray(picture)
