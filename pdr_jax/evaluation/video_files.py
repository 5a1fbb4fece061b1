"""Prediction from video files and folders of frames: what follows becomes .mp4, .gif or PNG."""

import collections
import itertools
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pdr_datasets import Units
from pdr_datasets.videos.broken import BrokenVideoError
from pdr_datasets.videos.describe import DARK
from pdr_datasets.videos.frames import fit_frame, frame_rate, read_frames
from pdr_datasets.videos.images import WHITE
from pdr_jax.files import new_folder, replacing
from pdr_jax.task import Task

_RATE = 10.0  # frames a second, where the source says nothing
_QUALITY = "12"  # of x264, 0 (lossless) to 51


class Video(NamedTuple):
    """The end of a video, from which a run predicts.

    Attributes:
      frames: (T, H, W, C) uint8, the last that the run needs, in its size.
      rate: frames a second.
      length: how many frames of the source could be taken.
      notes: what was found.
    """

    frames: np.ndarray
    rate: float
    length: int
    notes: list[str]


def read_video(source: Path, task: Task, every: int = 1, white: int = WHITE) -> Video:
    """The last frames of a video, in the run's size and channels; no more are kept in memory.

    Args:
      source: a video file, or a folder of frames.
      task: the run.
      every: of how many frames one is taken, so that the last one is.
      white: the value of 16-bit grey frames that becomes 255.

    Raises:
      ValueError: the run's frames are not grey or RGB of 0..255, or the video is too short.
      OSError: the video cannot be read to its end.
      ImportError: the package av or pillow is not installed.
    """
    height, width, channels = task.dataset.frame_shape
    if channels not in (1, 3) or task.clip.units != Units():
        told = ", ".join(task.dataset.scoring.groups) or task.dataset.reading
        raise ValueError(
            f"{source}: this run predicts fields, not videos. Its data are {task.dataset.name}"
            f"{f' ({told})' if told else ''}: give an array or file of such"
        )
    kept: collections.deque[np.ndarray] = collections.deque(
        maxlen=(task.clip.in_length - 1) * every + 1
    )
    count = 0
    try:
        for frame in read_frames(source, white=white):
            kept.append(frame)
            count += 1
        rate = frame_rate(source)
    except BrokenVideoError as error:
        raise OSError(f"{source} {error}") from error
    if len(kept) < (kept.maxlen or 0):
        raise ValueError(
            f"{source} has {count} frames; expected {kept.maxlen} or more, of which this run takes "
            f"{task.clip.in_length}, every {every}"
        )
    taken = list(itertools.islice(reversed(kept), 0, None, every))[::-1]
    size = " x ".join(map(str, taken[0].shape[:2]))
    said = f"{rate:g} a second" if rate else f"no rate is told, so {_RATE:g} a second"
    notes = [f"{source}: {count} frames of {size}, {said}"]
    if taken[0].shape[:2] != (height, width):
        notes.append(f"frames are resized to {height} x {width} by Pillow's bilinear filter")
    mode = "grey" if channels == 1 else "rgb"
    frames = np.stack([fit_frame(frame, height, width, mode) for frame in taken])
    if frames.max() < DARK:
        notes.append(
            f"the largest value is {frames.max()} of 255: 16-bit grey frames were read with "
            f"white={white}, as those of the training"
        )
    return Video(frames, (rate or _RATE) / every, -(-count // every), notes)


def write_video(video: Video, target: Path, future: np.ndarray) -> None:
    """Writes predicted frames, whole or not at all.

    Args:
      video: that `future` follows.
      target: a .mp4 (H.264) or .gif file; else a folder of PNG files, whose numbers go on from the
        number of the source's frames, counted from 0.
      future: (T', H, W, C) uint8, grey or RGB.

    Raises:
      FileExistsError: the folder holds something.
      ImportError: the package av or pillow is not installed.
    """
    images = [frame[..., 0] if frame.shape[-1] == 1 else frame for frame in future]
    if target.suffix == ".mp4":
        with replacing(target) as partial:
            _write_mp4(partial, images, video.rate)
        return
    from PIL import Image

    pictures = [Image.fromarray(image) for image in images]
    if target.suffix == ".gif":
        with replacing(target) as partial:
            # Times are whole hundredths of a second, so that some frames are shown for longer.
            ends = np.rint(np.arange(len(pictures) + 1) * 100 / video.rate)
            shown = (10 * np.maximum(np.diff(ends), 1)).astype(int).tolist()  # milliseconds
            first, *rest = pictures
            first.save(partial, save_all=True, append_images=rest, duration=shown, loop=0)
        return
    with new_folder(target) as partial:
        for number, picture in enumerate(pictures, video.length):
            picture.save(partial / f"{number:06d}.png")


def _write_mp4(path: Path, images: list[np.ndarray], rate: float) -> None:
    import av

    height, width = images[0].shape[:2]
    with av.open(f"file:{path}", "w") as container:
        options = {"crf": _QUALITY}
        stream: Any = container.add_stream(
            "libx264", rate=Fraction(rate).limit_denominator(1001), options=options
        )
        stream.width, stream.height = width, height
        # Players know 4:2:0, which halves the colours' size, so it has to be even.
        stream.pix_fmt = "yuv444p" if height % 2 or width % 2 else "yuv420p"
        for image in images:
            colours = "gray" if image.ndim == 2 else "rgb24"
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format=colours)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
