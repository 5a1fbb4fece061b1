"""Which videos are for training, validation and testing: whole ones, never parts of one."""

import hashlib
from collections.abc import Sequence
from pathlib import PurePosixPath

from pdr_datasets.videos.find import PARTS, Video

RULES = ("file", "prefix", "csv")


def split_videos(
    videos: Sequence[Video], rule: str, *, test_fraction: float, val_fraction: float, seed: int
) -> dict[str, list[Video]]:
    """The videos of each part, in the order given; parts without a video are left out.

    Args:
      videos: with names that differ.
      rule: "file": every video is drawn by itself; "prefix": all whose file names begin with the
        same text before the first "_" (a person, say) are drawn together; "csv": each has a part.
      test_fraction: share of the videos, or of the prefixes, for testing; at least one if not 0.
      val_fraction: share for validation, rounded.
      seed: of the draw. It depends on names alone: a video more or less moves few of the others.

    Raises:
      ValueError: see `check_names`; or no video is left for training.
    """
    check_names(videos, rule)
    if rule == "csv":
        chosen = {video.name: video.part for video in videos}
    else:
        groups = {video.name: _group(video.name, rule) for video in videos}
        drawn = sorted(set(groups.values()), key=lambda group: _digest(seed, group))
        tests = max(1, round(test_fraction * len(drawn))) if test_fraction else 0
        vals = round(val_fraction * len(drawn))
        where = {
            group: "test" if place < tests else "val" if place < tests + vals else "train"
            for place, group in enumerate(drawn)
        }
        chosen = {name: where[group] for name, group in groups.items()}
    parts = {part: [video for video in videos if chosen[video.name] == part] for part in PARTS}
    if not parts["train"]:
        raise ValueError(
            f"split={rule!r}, test_fraction={test_fraction}, val_fraction={val_fraction}: of "
            f"{_count(videos, rule)} none is left for training. Add videos, or lower the fractions "
            "(0 and 0 train on all)."
        )
    return {part: chosen for part, chosen in parts.items() if chosen}


def check_names(videos: Sequence[Video], rule: str) -> None:
    """Raises ValueError if a name has no prefix, or a part is not known."""
    for video in videos:
        if rule == "csv" and not video.part:
            raise ValueError(
                f"split='csv': {video.name} has no part. Give as manual_dir a CSV file with the "
                "columns path and part."
            )
        if rule == "prefix" and "_" not in PurePosixPath(video.name).name:
            raise ValueError(
                f"split='prefix': {video.name} has no '_' in its file name; expected names such as "
                "PERSON_ACTION.avi, or split='file' or 'csv'."
            )


def _group(name: str, rule: str) -> str:
    return name if rule == "file" else PurePosixPath(name).name.partition("_")[0]


def _digest(seed: int, group: str) -> bytes:
    return hashlib.blake2b(f"{seed}/{group}".encode("utf-8", "surrogateescape")).digest()


def _count(videos: Sequence[Video], rule: str) -> str:
    if rule != "prefix":
        return f"{len(videos)} videos"
    return f"{len({_group(video.name, rule) for video in videos})} prefixes"
