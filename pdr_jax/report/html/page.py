"""Puts a page together and writes it."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from typing import Any

import numpy as np

from pdr_jax.files import finite
from pdr_jax.report import style
from pdr_jax.report.html import sections
from pdr_jax.report.html.content import Clip, Content, Frames
from pdr_jax.report.html.packing import Codes, frame_codes, number_codes, pack
from pdr_jax.report.tracks import choose_tracks

LIMIT = 10_000_000
"""Bytes of a page: more is slow to open and too large to send."""
SIDE = 256
"""Pixels of a frame's longer side in the page; larger frames are averaged over squares."""


class TooLargeError(ValueError):
    """A page that a browser would not open well."""


def save_page(path: str | os.PathLike[str], content: Content) -> int:
    """Writes one HTML file of less than 10 MB that opens from disk and loads nothing.

    Of clips that do not fit, every second is left out until the others do. The same content gives
    the same bytes.

    Args:
      path: ends in .html; its folder is made.
      content: what it shows, with at least one run and one clip.

    Returns:
      The number of clips in the page.

    Raises:
      ValueError: a wrong suffix.
      TooLargeError: one clip alone does not fit.
    """
    style.check_range(content.data_range)
    parts = _parts(content)
    clips = [_clip(clip, content) for clip in content.clips]
    page = _fill(parts, clips, content)
    while len(page) >= LIMIT:
        if len(clips) == 1:
            raise TooLargeError(
                f"path={os.fspath(path)!r}: the page would take {len(page) / 1e6:.1f} MB with one "
                f"clip; expected less than {LIMIT / 1e6:.0f} MB. Show fewer runs, or fewer frames"
            )
        clips = clips[::2]
        page = _fill(parts, clips, content)
    with style.writing(path, ".html") as partial:
        partial.write_bytes(page)
    return len(clips)


def _parts(content: Content) -> dict[str, str]:
    notes = "".join(f'<p class="remark">{escape(note)}</p>' for note in content.notes)
    colours = "".join(f"--series-{i}:{colour};" for i, colour in enumerate(style.COLOURS))
    return {
        "title": escape(content.title),
        "about": escape(content.about),
        "notes": notes,
        "legend": sections.legend(content),
        "recipes": sections.recipes(content),
        "findings": sections.in_words(content),
        "curves": sections.curves(content),
        "table": sections.table(content),
        "horizon": sections.horizon(content),
        "shown": _shown(content),
        "distribution": sections.distribution(content),
        "style": f":root{{{colours}}}\n{_read('style.css')}",
        "script": "".join(map(_read, ("maths.js", "drawing.js", "explorer.js"))),
    }


def _fill(parts: Mapping[str, str], clips: Sequence[Any], content: Content) -> bytes:
    """The page with these clips, UTF-8. What a part says is not read as a template again."""
    _, height, width, channels = content.clips[0].truth.shape
    data = {
        "range": list(content.data_range),
        "error": content.error,
        "size": [height, width],
        "shrink": _shrink(height, width),
        "heat": channels not in (1, 3),
        "inputs": len(content.clips[0].inputs),
        "horizon": len(content.clips[0].truth),
        "runs": list(content.runs),
        "clips": clips,
    }
    # "<" could end the element that holds the JSON.
    text = json.dumps(finite(data), separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    filled = {**parts, "data": text}
    page = re.sub(r"\{\{(\w+)\}\}", lambda found: filled[found[1]], _read("page.html"))
    return page.encode("utf-8", "replace")


def _shown(content: Content) -> str:
    """What is left out of the frames, if anything is."""
    _, height, width, channels = content.clips[0].truth.shape
    said = [f"Frames show channel 0 of {channels}."] if channels not in (1, 3) else []
    if (factor := _shrink(height, width)) > 1:
        said.append(f"A pixel is the mean of {factor} x {factor}.")
    return f'<p class="remark">{" ".join(said)}</p>' if said else ""


def _clip(clip: Clip, content: Content) -> dict[str, Any]:
    """A clip as JSON: title, errors and chosen tracks by run, and its arrays, packed."""
    low, high = style.check_range(content.data_range)
    arrays = {
        "inputs": _frames("inputs", clip.inputs, low, high),
        "truth": _frames("truth", clip.truth, low, high),
    }
    errors, tracks = {}, {}
    for index, (label, frames) in enumerate(clip.runs.items()):
        found = {"prediction": _frames("prediction", frames.prediction, low, high)}
        for name, layer in (("coarse", frames.coarse), ("rendered", frames.rendered)):
            if layer is not None:
                found[name] = _frames(name, layer, *_bounds(layer, low, high))
        if frames.gaussians is not None:
            mean, scale, rotation, amplitude = map(np.asarray, frames.gaussians)
            numbers = {"mean": mean, "scale": scale, "rotation": rotation}
            numbers["strength"] = amplitude.mean(-1)
            found |= {name: number_codes(values) for name, values in numbers.items()}
            tracks[label] = _tracks(frames, mean)
        arrays |= {f"{index}/{name}": codes for name, codes in found.items()}
        if frames.errors is not None:
            errors[label] = [float(f"{value:.6g}") for value in frames.errors]
    return {"title": clip.title, "errors": errors, "tracks": tracks, **pack(arrays)}


def _tracks(frames: Frames, mean: np.ndarray) -> list[int]:
    """Which Gaussians' paths are drawn; none where Gaussians have no identity."""
    if not frames.tracked or len(mean) < 2:
        return []
    height, width = frames.prediction.shape[1:3]
    cell = -(-max(height, width) // 16)
    return choose_tracks(mean, height, width, cell=cell).tolist()


def _frames(name: str, clip: np.ndarray, low: float, high: float) -> Codes:
    clip = style.check_clip(name, clip)
    factor = _shrink(*clip.shape[1:3])
    if factor > 1:
        frames, height, width, channels = clip.shape
        rows, columns = height // factor, width // factor
        squares = clip[:, : rows * factor, : columns * factor].reshape(
            frames, rows, factor, columns, factor, channels
        )
        clip = squares.mean((2, 4))
    return frame_codes(clip, low, high)


def _shrink(height: int, width: int) -> int:
    return -(-max(height, width) // SIDE)


def _bounds(layer: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """The data range; that of a layer which goes beyond by a twentieth is its own.

    A fusion follows the layer, so it need not look like frames.
    """
    least, most = (float(bound) for bound in np.nanpercentile(layer, (0.5, 99.5)))
    margin = (high - low) / 20
    if least >= low - margin and most <= high + margin:
        return low, high
    return min(least, low), max(most, high)


def _read(name: str) -> str:
    return resources.files("pdr_jax.report.html").joinpath(name).read_text("utf-8")
