"""A clip as a labelled strip of frames (PNG) and as an animation (GIF)."""

import os

import numpy as np

from pdr_jax.report import style
from pdr_jax.report.motion import motion_colours, motion_wheel
from pdr_jax.report.rows import Key, Row, save_rows, whole_zoom

_ERROR_COLORMAP = "inferno"
_SHARE_COLORMAP = "cividis"


def save_strip(
    path: str | os.PathLike[str],
    *,
    prediction: np.ndarray,
    data_range: tuple[float, float],
    truth: np.ndarray | None = None,
    inputs: np.ndarray | None = None,
    coarse: np.ndarray | None = None,
    rendered: np.ndarray | None = None,
    coverage: np.ndarray | None = None,
    gate: np.ndarray | None = None,
    motion: np.ndarray | None = None,
    steps: int = 10,
    title: str | None = None,
    error_max: float | None = None,
    colormap: str | None = None,
) -> None:
    """Saves rows of frames over time as PNG, each where given.

    The rows: input, truth, coarse, rendered, motion, coverage, gate, prediction, |error|. Those of
    frames share `data_range`, with one exception: a coarse or rendered row of which more than a
    tenth lies outside, by a twentieth of it or more, takes its own range, written beside it. A
    fusion layer follows these rows, so they need not look like frames.

    Args:
      path: ends in .png; its folder is made.
      prediction: (T, H, W, C) in model units.
      data_range: values shown as black and white (or the ends of the heat map).
      truth: (T, H, W, C); without it there is no error row.
      inputs: (T_in, H, W, C).
      coarse: (T, H, W, C), the backbone's frames.
      rendered: (T, H, W, C), the Gaussians' frames.
      coverage: (T, H, W, 1), how densely Gaussians cover each pixel; 0 is a hole, and more than 1
        is shown as 1.
      gate: (T, H, W, C), the rendered frames' share in the prediction, from 0 to 1; its mean over
        channels is shown.
      motion: (T, H, W, 2), of what is seen at each pixel, in pixels a frame; x right, y down.
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
    rows: list[Row] = []

    def add(label: str, picture: np.ndarray, times: np.ndarray, key: Key | None = None) -> None:
        count = len(picture)
        chosen = np.unique(np.linspace(0, count - 1, min(steps, count)).round().astype(int))
        shown = [f"{times[i]:+d}" if times[i] else "0" for i in chosen]
        rows.append(Row(label, picture[chosen], shown, key))

    if inputs is not None:
        inputs = style.check_clip("inputs", inputs)
        add("input", style.to_rgb(inputs, low, high, colormap), np.arange(1 - len(inputs), 1))
    times = np.arange(1, len(prediction) + 1)

    def add_frames(name: str, clip: np.ndarray | None) -> None:
        if clip is None:
            return
        clip = _like(prediction, name, clip)
        bounds, label = (low, high), name
        if name in ("coarse", "rendered") and _mostly_outside(clip, low, high):
            bounds = tuple(np.nanpercentile(clip, (0.5, 99.5)))
            label = f"{name}\n{bounds[0]:.2g} … {bounds[1]:.2g}"
        add(label, style.to_rgb(clip, *bounds, colormap), times)

    def add_share(
        name: str, share: np.ndarray | None, channels: int, none: str, whole: str
    ) -> None:
        if share is None:
            return
        share = _like(prediction, name, share, channels).mean(-1, keepdims=True)
        bar = np.linspace(1.0, 0.0, 128).reshape(128, 1, 1).repeat(10, 1)
        key = Key(style.to_rgb(bar, 0, 1, _SHARE_COLORMAP), f"1 {whole}", f"0 {none}")
        add(name, style.to_rgb(share, 0, 1, _SHARE_COLORMAP), times, key)

    add_frames("truth", truth)
    add_frames("coarse", coarse)
    add_frames("rendered", rendered)
    if motion is not None:
        motion = _like(prediction, "motion", motion, 2)
        speed = np.hypot(*np.moveaxis(np.nan_to_num(motion), -1, 0))
        fastest = max(float(np.percentile(speed, 99.5)), 1e-3)
        label = f"motion\n0 … {fastest:.2g} px\na frame"
        add(label, motion_colours(motion, fastest), times, Key(motion_wheel()))
    add_share("coverage", coverage, 1, "hole", "full")
    add_share("gate", gate, prediction.shape[-1], "coarse", "rendered")
    add_frames("prediction", prediction)
    if truth is not None:
        error = _error(prediction, _like(prediction, "truth", truth))
        picture = style.to_rgb(error, 0.0, error_max, _ERROR_COLORMAP)
        add(f"|error|\n0 … {error_max:.2g}", picture, times)
    if prediction.shape[-1] not in (1, 3):
        title = ", ".join([*([title] if title else []), f"channel 0 of {prediction.shape[-1]}"])
    save_rows(path, rows, title)


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
    zoom = whole_zoom(height, width, len(panels), 780)
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


def _like(
    prediction: np.ndarray, name: str, clip: np.ndarray, channels: int | None = None
) -> np.ndarray:
    """The clip, refused unless its shape is the prediction's, but for other `channels`."""
    clip = style.check_clip(name, clip)
    expected = (*prediction.shape[:3], channels or prediction.shape[3])
    if clip.shape != expected:
        raise ValueError(f"{name} has shape {clip.shape}; expected {expected}, as prediction")
    return clip


def _error(prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(T, H, W, 1): absolute error of the channels that `style.to_rgb` shows."""
    error = np.abs(prediction - truth)
    return error.mean(-1, keepdims=True) if error.shape[-1] == 3 else error[..., :1]


def _mostly_outside(clip: np.ndarray, low: float, high: float) -> bool:
    margin = (high - low) / 20
    return bool(np.mean((clip < low - margin) | (clip > high + margin)) > 0.1)


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
