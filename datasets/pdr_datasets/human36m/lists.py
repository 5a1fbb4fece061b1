"""OpenSTL's lists of Human3.6M clips: the frames of each clip, and its part."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

STEP = 5  # a clip takes every 5th frame of its video
TRAIN_SUBJECTS = (1, 5, 6, 7, 8)
TEST_SUBJECTS = (9, 11)
PUBLISHED = {"train": 73404, "test": 8582}  # lines of OpenSTL's lists
EXPECTED_FILES = (
    "OpenSTL's folder data/human: train.txt and test.txt (lines such as "
    "'images/S1_Directions.54138969_,226,296') beside the folder of frames, "
    "images/S1_Directions.54138969_000226.jpg and so on."
)

_LINE = re.compile(r"(?P<prefix>[^,]+),(?P<begin>\d+),\d+")
_SUBJECT = re.compile(r"S(\d+)_")


class Clip(NamedTuple):
    """One line of a list.

    Attributes:
      prefix: of the frames' file names.
      begin: number of the first frame.
      line: where the clip is listed, for messages.
    """

    prefix: str
    begin: int
    line: str

    def numbers(self, length: int) -> range:
        """Numbers of the first `length` frames; as in OpenSTL, the list's END is not used."""
        return range(self.begin, self.begin + length * STEP, STEP)


def read_list(path: Path) -> list[Clip]:
    """The clips of a list, in its order.

    Raises:
      ValueError: the list is empty, or a line has another form.
    """
    clips = []
    for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), start=1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise ValueError(
                f"{path} line {number} is {line!r}; expected PREFIX,BEGIN,END such as "
                "'images/S1_Directions.54138969_,226,296'."
            )
        clips.append(Clip(match["prefix"], int(match["begin"]), f"{path.name} line {number}"))
    if not clips:
        raise ValueError(f"{path} lists no clips.")
    return clips


def split_by_subject(clips: Iterable[Clip]) -> dict[str, list[Clip]]:
    """Parts "train" and "test" that share no person; a clip listed twice is taken once.

    Raises:
      ValueError: a line does not name a known subject, or a part has no clip.
    """
    parts: dict[str, list[Clip]] = {"train": [], "test": []}
    for clip in {(clip.prefix, clip.begin): clip for clip in clips}.values():
        match = _SUBJECT.match(Path(clip.prefix).name)
        subject = int(match[1]) if match else None
        if subject not in TRAIN_SUBJECTS + TEST_SUBJECTS:
            raise ValueError(
                f"{clip.line}: {clip.prefix!r} is of none of the subjects "
                f"{', '.join(f'S{n}' for n in TRAIN_SUBJECTS + TEST_SUBJECTS)}."
            )
        parts["train" if subject in TRAIN_SUBJECTS else "test"].append(clip)
    for part, subjects in (("train", TRAIN_SUBJECTS), ("test", TEST_SUBJECTS)):
        if not parts[part]:
            names = ", ".join(f"S{n}" for n in subjects)
            raise ValueError(f"the lists have no {part} clip, that is, none of {names}.")
    return parts


def lay_out(
    parts: Mapping[str, Sequence[Clip]], length: int
) -> tuple[dict[tuple[str, int], str], dict[str, list[int]]]:
    """Orders all frames so that the `length` frames of each clip are neighbours.

    Returns:
      The distinct frames in that order, each as (prefix, number) -> a line that needs it; and for
      every part the ascending positions at which its clips start.
    """
    needed: dict[tuple[str, int], str] = {}
    for clips in parts.values():
        for clip in clips:
            for number in clip.numbers(length):
                needed.setdefault((clip.prefix, number), clip.line)
    # Within a video, sorted by number modulo STEP first: frames that are STEP apart are neighbours.
    order = sorted(needed, key=lambda frame: (frame[0], frame[1] % STEP, frame[1]))
    position = {frame: index for index, frame in enumerate(order)}
    starts = {
        part: sorted(position[clip.prefix, clip.begin] for clip in clips)
        for part, clips in parts.items()
    }
    return {frame: needed[frame] for frame in order}, starts
