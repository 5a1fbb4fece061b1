"""Which clips, and which of their frames, are for training and for testing."""

from collections.abc import Sequence

from pdr_datasets.kth.clips import PERSONS, Clip, expected_names

TRAIN_PERSONS = {"person": range(1, 17), "mcvd": range(1, 21)}  # the others are for testing
RULES = ("person", "subsequence", "mcvd")


def split_clips(
    rule: str, clips: Sequence[tuple[Clip, Sequence[int]]]
) -> dict[str, list[tuple[Clip, list[int]]]]:
    """Parts "train" and "test": clips with the frame numbers that belong to the part.

    Args:
      rule: "person", the benchmark's (persons 1 to 16 train, 17 to 25 test); "mcvd", that of MCVD's
        evaluation (1 to 20 train, 21 to 25 test); or "subsequence": the last sub-sequence of every
        clip is for testing, which works with a single person.
      clips: with the numbers of all their frames.

    Raises:
      ValueError: the rule is "subsequence", and a clip's sub-sequences are not known.
    """
    parts: dict[str, list[tuple[Clip, list[int]]]] = {"train": [], "test": []}
    for clip, numbers in clips:
        if rule in TRAIN_PERSONS:
            part = "train" if clip.person in TRAIN_PERSONS[rule] else "test"
            parts[part].append((clip, list(numbers)))
            continue
        if len(clip.intervals) < 2:
            raise ValueError(
                f"split='subsequence': {clip.name} has no list of sub-sequences. Put "
                "00sequences.txt (it comes with the official videos) into manual_dir."
            )
        first, last = max(clip.intervals)
        parts["train"].append((clip, [n for n in numbers if not first <= n <= last]))
        parts["test"].append((clip, [n for n in numbers if first <= n <= last]))
    return parts


def describe_copy(rule: str, clips: Sequence[tuple[Clip, Sequence[int]]]) -> str:
    """What a reader of a result must know about this copy and split; "" if nothing.

    Args:
      rule: as for `split_clips`.
      clips: as for `split_clips`.
    """
    notes = []
    expected = expected_names()
    there = {clip.name for clip, _ in clips}
    missing = [name for name in expected if name not in there]
    if rule == "subsequence":
        notes.append(
            "Split by sub-sequence (the last of each clip is for testing; the same persons are in "
            "both parts): not the KTH benchmark."
        )
    elif rule == "mcvd":
        notes.append(
            "Persons and test windows by MCVD's rule, with starts drawn once (seed 0), where its "
            "code draws others each time."
        )
    elif missing:
        train = sum(clip.person in TRAIN_PERSONS[rule] for clip, _ in clips)
        notes.append(
            f"KTH subset, {train} + {len(clips) - train} clips for training and testing: not the "
            "KTH benchmark, so OpenSTL's published figures do not compare."
        )
    elif clips[0][0].is_video:
        notes.append(
            "From the official videos and their list of sequences. OpenSTL's published figures use "
            "a dump with fewer frames, so they are near, but not the same."
        )
    if missing:
        notes.append(
            f"Partial copy: {len(there)} of {len(expected)} clips. Missing: {_summary(missing)}."
        )
    if rule != "mcvd" and (
        short := [
            c.name for c, numbers in clips if c.is_video and max(c.intervals)[1] > numbers[-1]
        ]
    ):
        notes.append(
            f"00sequences.txt goes on after the end of {', '.join(short)}; used as far as they go."
        )
    return " ".join(notes)


def _summary(missing: list[str]) -> str:
    """Missing clips in few words: persons of whom all are missing, then other clips by name."""
    gone = set(missing)
    persons = []
    for person in PERSONS:
        clips = {name for name in expected_names() if name.startswith(f"person{person:02d}_")}
        if clips <= gone:
            persons.append(f"{person:02d}")
            gone -= clips
    names = sorted(gone)
    if len(names) > 8:
        names = [*names[:8], f"and {len(names) - 8} more"]
    return ", ".join(([f"all of persons {' '.join(persons)}"] if persons else []) + names)
