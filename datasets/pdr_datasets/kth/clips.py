"""Finds KTH clips in a folder, as official .avi files or as a dump, and reads their frames."""

import dataclasses
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

ACTIONS = ("boxing", "handclapping", "handwaving", "jogging", "running", "walking")
PERSONS = range(1, 26)
SCENARIOS = range(1, 5)
SEQUENCES_FILE = "00sequences.txt"
EXPECTED_FILES = (
    "Either the official videos, personNN_ACTION_dK_uncomp.avi (599 of them: persons 01 to 25; "
    f"{', '.join(ACTIONS)}; d1 to d4), in any folders, with {SEQUENCES_FILE} beside or above "
    "them: http://www.csc.kth.se/cvap/actions/\n"
    "Or OpenSTL's dump of frames: ACTION/personNN_ACTION_dK.../image_NNNN.jpg (or .png)."
)

_CLIP = re.compile(rf"person(\d\d)_({'|'.join(ACTIONS)})_d(\d)")
_IMAGE = re.compile(r"image_(\d+)\.(?:jpe?g|png)", re.IGNORECASE)
_INTERVAL = re.compile(r"(\d+)\s*-\s*(\d+)")
_NEVER_RECORDED = "person13_handclapping_d3"


@dataclasses.dataclass(frozen=True)
class Clip:
    """One recording.

    Attributes:
      name: as "person01_boxing_d1".
      path: the .avi file, or the folder of images.
      intervals: (first, last) frame numbers of the sub-sequences, from 00sequences.txt; () if that
        is not there, as with a dump of frames.
    """

    name: str
    path: Path
    intervals: tuple[tuple[int, int], ...] = ()

    @property
    def person(self) -> int:
        """1 to 25."""
        return int(self.name[6:8])

    @property
    def action(self) -> str:
        """One of ACTIONS."""
        return self.name.split("_")[1]

    @property
    def is_video(self) -> bool:
        """Whether it is an .avi file."""
        return self.path.suffix.lower() == ".avi"


def expected_names() -> list[str]:
    """Names of the 599 clips of the whole data set."""
    names = [f"person{p:02d}_{a}_d{s}" for a in ACTIONS for p in PERSONS for s in SCENARIOS]
    return [name for name in names if name != _NEVER_RECORDED]


def find_clips(folder: Path) -> list[Clip]:
    """The clips under a folder, sorted by name: by person, then action, then scenario.

    Raises:
      FileNotFoundError: there are no clips, or videos without 00sequences.txt.
      ValueError: there are both videos and frames, or a clip is there twice.
    """
    videos: dict[str, Path] = {}
    dumps: dict[str, Path] = {}
    for parent, folders, files in os.walk(folder):
        for name in files:
            if name.lower().endswith(".avi") and (match := _CLIP.match(name)):
                _add(videos, match[0], Path(parent, name))
        for name in folders:
            if match := _CLIP.match(name):
                _add(dumps, match[0], Path(parent, name))
    dumps = {name: path for name, path in dumps.items() if frame_files(path)}
    if not videos and not dumps:
        raise FileNotFoundError(f"manual_dir={str(folder)!r} holds no clips.\n{EXPECTED_FILES}")
    if videos and dumps:
        raise ValueError(
            f"manual_dir={str(folder)!r} holds both videos ({next(iter(videos.values()))}) and "
            f"frames ({next(iter(dumps.values()))}). Point it at one of them."
        )
    found = videos or dumps
    intervals = _find_intervals(folder, next(iter(found.values())))
    if videos and intervals is None:
        raise FileNotFoundError(
            f"manual_dir={str(folder)!r} holds videos, but {SEQUENCES_FILE} is missing. It comes "
            f"with them and says which frames to use.\n{EXPECTED_FILES}"
        )
    for name in sorted(found if videos else ()):
        if name not in (intervals or {}):
            raise ValueError(f"{SEQUENCES_FILE} does not list the frames of {name}.")
    clips = [Clip(name, path, (intervals or {}).get(name, ())) for name, path in found.items()]
    return sorted(clips, key=lambda clip: clip.name)


def read_sequences(path: Path) -> dict[str, tuple[tuple[int, int], ...]]:
    """Reads 00sequences.txt: (first, last) frame numbers, from 1, of each clip's sub-sequences.

    Raises:
      ValueError: it lists no clips.
    """
    sequences = {}
    for line in path.read_text("latin-1").splitlines():
        if match := _CLIP.match(line.strip()):
            pairs = _INTERVAL.findall(line.partition("frames")[2])
            if pairs:  # person13_handclapping_d3 is *missing*
                sequences[match[0]] = tuple((int(a), int(b)) for a, b in pairs)
    if not sequences:
        raise ValueError(
            f"{path} lists no clips. Expected lines such as "
            "'person01_boxing_d1  frames  1-95, 96-185'."
        )
    return sequences


def frame_numbers(clip: Clip, *, unlisted: bool = False) -> list[int]:
    """Numbers of a clip's frames to use, ascending: a video's sub-sequences, or all images.

    Args:
      clip: the recording.
      unlisted: whether to use the frames of a video that belong to no sub-sequence as well.
    """
    if not clip.is_video:
        return sorted(frame_files(clip.path))
    last = _header_frames(clip.path)
    if unlisted:
        return list(range(1, last + 1))
    listed = {n for first, end in clip.intervals for n in range(first, end + 1)}
    # Where the list goes on after the last frame, the frames that there are are used.
    return sorted(n for n in listed if n <= last)


def read_frames(clip: Clip, numbers: Sequence[int]) -> np.ndarray:
    """Reads the frames of the given numbers: (len(numbers), H, W) uint8.

    These are channel 0 of the decoded RGB, as in OpenSTL (the recordings are grey).

    Raises:
      OSError: a file cannot be decoded, or a video is shorter than its header says.
      ImportError: the package av is not installed.
    """
    if clip.is_video:
        return _read_video(clip.path)[np.asarray(numbers, np.int64) - 1]
    files = frame_files(clip.path)
    frames = [_read_image(files[number]) for number in numbers]
    sizes = {frame.shape for frame in frames}
    if len(sizes) > 1:
        raise OSError(f"{clip.path}: images of different sizes, {sorted(sizes)}.")
    return np.stack(frames)


def frame_files(folder: Path) -> dict[int, Path]:
    """The images in a folder of a dump, by the number in their names."""
    matches = ((_IMAGE.fullmatch(path.name), path) for path in folder.iterdir())
    return {int(match[1]): path for match, path in matches if match}


def _add(found: dict[str, Path], name: str, path: Path) -> None:
    if name in found:
        raise ValueError(f"{name} is there twice: {found[name]} and {path}. Keep one.")
    found[name] = path


def _find_intervals(folder: Path, clip: Path) -> dict[str, tuple[tuple[int, int], ...]] | None:
    """Reads 00sequences.txt from anywhere under the folder, or up to two levels above a clip."""
    places = [
        *sorted(folder.rglob(SEQUENCES_FILE)),
        *(p / SEQUENCES_FILE for p in clip.parents[:2]),
    ]
    for path in places:
        if path.is_file():
            return read_sequences(path)
    return None


def _header_frames(path: Path) -> int:
    """Number of frames by a video's header or, where that does not say, by decoding."""
    with _open_video(path) as container:
        stream = container.streams.video[0]
        return stream.frames or sum(1 for _ in container.decode(stream))


def _read_video(path: Path) -> np.ndarray:
    av = _import_av(path)
    with _open_video(path) as container:
        stream = container.streams.video[0]
        frames = []
        try:
            for frame in container.decode(stream):
                frames.append(frame.to_ndarray(format="rgb24")[..., 0])
        except av.error.FFmpegError as error:
            raise OSError(f"{path} cannot be decoded after frame {len(frames)}: {error}") from error
        if len(frames) < stream.frames:
            raise OSError(
                f"{path} is truncated: its header promises {stream.frames} frames, "
                f"{len(frames)} can be read. Fetch it again."
            )
    return np.stack(frames)


def _open_video(path: Path) -> Any:
    av = _import_av(path)
    try:
        container = av.open(str(path))
    except av.error.FFmpegError as error:
        raise OSError(f"{path} is not a video that can be opened: {error}") from error
    if not container.streams.video:
        container.close()
        raise OSError(f"{path} holds no video.")
    return container


def _read_image(path: Path) -> np.ndarray:
    av = _import_av(path)
    try:
        with av.open(str(path)) as container:
            frame = next(container.decode(video=0))
            return frame.to_ndarray(format="rgb24")[..., 0]
    except (av.error.FFmpegError, StopIteration) as error:
        raise OSError(f"{path} cannot be read as an image: {error}") from error


def _import_av(path: Path) -> Any:
    try:
        import av
    except ImportError as error:
        raise ImportError(f"{path} needs the package av: pip install pdr-jax[data]") from error
    return av
