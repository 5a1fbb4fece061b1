"""Decodes video files with PyAV: upright RGB frames, one at a time; files cut off are noticed."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from pdr_datasets.videos.broken import BrokenVideoError

# Headers and frames may differ by a few frames in files that are whole.
_TOLERANCE = 0.02  # of the promised duration


def decode(path: Path, every: int = 1) -> Iterator[np.ndarray]:
    """The frames 0, every, 2 every ... of a video file, (H, W, 3) uint8, RGB.

    They are turned and mirrored as the file asks players to do. Frames of more than 8 bits are
    converted by FFmpeg.

    Raises:
      BrokenVideoError: the file is not a video, is damaged, or ends before its header says.
      ImportError: the package av is not installed.
    """
    av, container = _open(path)
    with container:
        stream = container.streams.video[0]
        first = last = number = 0
        try:
            for packet in container.demux(stream):
                if packet.is_corrupt:
                    raise BrokenVideoError(f"is damaged or cut off after frame {number}")
                time = packet.dts if packet.pts is None else packet.pts
                if time is not None:
                    first = min(first, time)
                    last = max(last, time + (packet.duration or 0))
                for frame in packet.decode():
                    if number % every == 0:
                        yield _upright(frame)
                    number += 1
        except av.error.FFmpegError as error:
            raise BrokenVideoError(
                f"cannot be decoded after frame {number}: {error.strerror}"
            ) from error
        promised = _duration(container.format.name, stream)
        missing = promised - (last - first) * stream.time_base
        frame_time = 1 / Fraction(stream.average_rate or 25)
        if missing > max(_TOLERANCE * promised, Fraction(3, 2) * frame_time):
            raise BrokenVideoError(
                f"is cut off: its header promises {float(promised):.2f} s, and {number} frames end "
                f"{float(missing):.2f} s before"
            )


def frame_rate(path: Path) -> float:
    """Frames a second on average, or 0 where the file does not say.

    Raises:
      BrokenVideoError: the file is not a video.
      ImportError: the package av is not installed.
    """
    with _open(path)[1] as container:
        return float(container.streams.video[0].average_rate or 0)


def _open(path: Path) -> tuple[Any, Any]:
    try:
        import av
    except ImportError as error:
        raise ImportError("videos needs the package av: pip install pdr-jax[data]") from error
    try:
        container = av.open(f"file:{path}")  # a name may look like a protocol
    except av.error.FFmpegError as error:
        raise BrokenVideoError(f"is not a video that can be opened: {error.strerror}") from error
    if not container.streams.video:
        container.close()
        raise BrokenVideoError("holds no video")
    return av, container


def _upright(frame: Any) -> np.ndarray:
    """The frame as players show it: its display matrix maps (x, y) to (a x + c y, b x + d y)."""
    image = frame.to_ndarray(format="rgb24")
    if not (stored := frame.side_data.get("DISPLAYMATRIX")):
        return image
    a, b, _, c, d = np.frombuffer(stored, np.int32)[:5]
    if abs(b) > abs(a):
        image, a, d = image.swapaxes(0, 1), c, b
    return image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]


def _duration(kind: str, stream: Any) -> Fraction:
    """Seconds that the header promises; 0 where it does not."""
    if kind == "avi" and stream.average_rate:  # whose duration FFmpeg fits to the file's bytes
        return stream.frames / Fraction(stream.average_rate)
    if stream.duration is not None:
        return Fraction(stream.duration * stream.time_base)
    hours, _, rest = stream.metadata.get("DURATION", "").partition(":")  # Matroska's own
    minutes, _, seconds = rest.partition(":")
    try:
        return 3600 * int(hours) + 60 * int(minutes) + Fraction(seconds)
    except ValueError:
        return Fraction(0)
