"""What is said of a build of videos: what was read, and what a reader of a result must know."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pdr_datasets.originals import name_some

DARK = 64
"""Of 255: a video whose largest value is below is remarked."""


def describe_videos(
    files: Sequence[Mapping[str, Any]], clips: Mapping[str, int], length: int, stored: str
) -> str:
    """What was read: "60 videos of 28 to 146 frames ...", of those that hold a clip.

    Args:
      files: of the metadata, see `videos_dataset_builder`; one of them holds a clip.
      clips: number of clips of each part.
      length: frames of a clip.
      stored: the stored frame in words.
    """
    files = [file for file in files if file["frames"] >= length]
    frames = [file["frames"] for file in files]
    sizes = sorted({tuple(file["size"]) for file in files})
    shown = f"{sizes[0][0]} x {sizes[0][1]}"
    shown += f" to {sizes[-1][0]} x {sizes[-1][1]}" if len(sizes) > 1 else ""
    parts = ", ".join(
        f"{part} {sum(file['part'] == part for file in files)} with {number}"
        for part, number in clips.items()
    )
    return (
        f"read as {len(files)} video{'s' * (len(files) > 1)} of {_span(frames, '{}')} frames "
        f"({sum(frames)} in all), {shown} pixels{_rates(files)}, stored as {stored}; "
        f"clips of {length} frames: {parts}"
    )


def remark(files: Sequence[Mapping[str, Any]], skipped: Collection[str], length: int) -> str:
    """What a reader of a result must know of the videos; "" if nothing.

    Args:
      files: of the metadata.
      skipped: broken and short videos, each with its reason.
      length: frames of a clip.
    """
    notes = []
    if skipped:
        total = len(files) + len(skipped)
        notes.append(f"Left out, {len(skipped)} of {total} videos: {name_some(skipped)}.")
    short = [f"{f['name']} ({f['frames']} frames)" for f in files if f["frames"] < length]
    if short:
        notes.append(
            f"Shorter than a clip of {length} frames and not used, {len(short)} of {len(files)} "
            f"videos: {name_some(short)}."
        )
    # Builds made before brightness was kept lack it.
    dark = {f["name"]: f["brightest"] for f in files if f.get("brightest", DARK) < DARK}
    if dark:
        notes.append(
            f"The largest value is {max(dark.values())} of 255 in {len(dark)} of {len(files)} "
            f"videos ({name_some(dark)}), so that errors are tiny and PSNR is high whatever is "
            "predicted. 16-bit grey frames of fewer bits need another white: prepare with the "
            "value that shall become 255, as white=4095 for 12 bits."
        )
    rates = {file["rate"] for file in files if file["rate"]}
    if rates and max(rates) > 1.01 * min(rates):
        notes.append(
            f"Videos of{_rates(files).removeprefix(',')} are taken frame by frame, so that motion "
            "is faster in those of fewer frames a second."
        )
    return " ".join(notes)


def _rates(files: Sequence[Mapping[str, Any]]) -> str:
    rates = [file["rate"] for file in files if file["rate"]]
    return f", {_span(rates, '{:.4g}')} frames/s" if rates else ""


def _span(numbers: Sequence[float], form: str) -> str:
    low, high = form.format(min(numbers)), form.format(max(numbers))
    return low if low == high else f"{low} to {high}"
