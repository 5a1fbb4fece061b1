"""Reads OpenSTL's TaxiBJ, one .npz of ready-made clips, in blocks."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pdr_datasets.npz import Member, open_member

FILE = "dataset.npz"
LENGTH = 4  # frames given, and frames to predict
PUBLISHED = {"train": 20461, "test": 500}
_FRAME = (2, 32, 32)
_BLOCK = 256  # clips read at a time
_ROUNDING = 1e-6


def open_parts(path: Path) -> dict[str, tuple[Member, Member]]:
    """X and Y of both parts; checks their shapes.

    Raises:
      OSError: the file is no .npz, or is truncated.
      ValueError: an array is missing, or has another shape.
    """
    parts = {}
    for part in ("train", "test"):
        given, wanted = (open_member(path, f"{letter}_{part}") for letter in "XY")
        for member in (given, wanted):
            if member.shape[1:] != (LENGTH, *_FRAME):
                raise ValueError(
                    f"{path}: {member.name!r} has shape {member.shape}: expected (N, 4, 2, 32, 32)."
                )
        if given.shape != wanted.shape or not given.shape[0]:
            raise ValueError(
                f"{path}: {given.name!r} has {given.shape[0]} clips and {wanted.name!r} "
                f"{wanted.shape[0]}: expected the same number, at least 1."
            )
        parts[part] = (given, wanted)
    return parts


def read_clips(part: tuple[Member, Member]) -> Iterator[np.ndarray]:
    """Clips (8, 32, 32, 2) float32 in [-1, 1], in the file's order.

    Raises:
      OSError: the file is truncated.
      ValueError: a value is NaN or outside [-1, 1], or none is below 0: then the file is in [0, 1].
    """
    start, low = 0, np.inf
    for pair in zip(*(member.blocks(_BLOCK) for member in part), strict=True):
        for member, block in zip(part, pair, strict=True):
            bad = np.argwhere(~(np.abs(block) <= 1 + _ROUNDING))  # NaN too
            if len(bad):
                where = (int(bad[0][0]) + start, *bad[0][1:].tolist())
                raise ValueError(
                    f"{member.path}: {member.name!r} is {block[tuple(bad[0])]} at {where}: "
                    "expected values in [-1, 1]."
                )
        clips = np.concatenate(pair, axis=1).astype(np.float32)
        low = min(low, float(np.min(clips)))
        yield from np.ascontiguousarray(np.moveaxis(clips, 2, -1))
        start += len(clips)
    if low >= 0:
        given, wanted = part
        raise ValueError(
            f"{given.path}: {given.name!r} and {wanted.name!r} hold no value below {low:g}: "
            "expected values in [-1, 1], where -1 stands for no taxi. If the file is in [0, 1], "
            "save 2 * array - 1."
        )


def describe_counts(parts: dict[str, tuple[Member, Member]]) -> str:
    """How the file differs from the published one; "" if it does not."""
    counts = {name: given.shape[0] for name, (given, _) in parts.items()}
    if counts == PUBLISHED:
        return ""
    return (
        f"{FILE} holds {counts['train']} clips for training and {counts['test']} for testing; "
        f"published are {PUBLISHED['train']} and {PUBLISHED['test']}."
    )
