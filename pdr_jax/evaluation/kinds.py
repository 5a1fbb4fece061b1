"""The kinds of files from which a run predicts, and those to which it writes what follows."""

import glob
import importlib.util
from pathlib import Path
from typing import Literal

from pdr_datasets.netcdf import SUFFIXES
from pdr_datasets.videos.find import FILES, find_videos, image_files
from pdr_jax.report import style

Kind = Literal["array", "series", "video"]
TARGETS: dict[Kind, tuple[str, ...]] = {
    "array": (".npy",),
    "series": (".npy", ".nc", ".nc4"),
    "video": (".npy", ".mp4", ".gif", ""),
}
"""Endings of the names of predictions, by the kind of the source; "" is a folder of frames."""

_NEEDS = {".nc": ("xarray", "h5netcdf"), ".nc4": ("xarray", "h5netcdf"), ".mp4": ("av",)}
_NEEDS |= {suffix: ("PIL",) for suffix in (".gif", "")}


def kind_of(source: Path) -> Kind:
    """What a file or folder of observed frames is, by its name or what lies in it."""
    suffix = source.suffix.lower()
    if suffix in FILES or (source.is_dir() and image_files(source)):
        return "video"
    if suffix in (*SUFFIXES, ".zarr") or source.is_dir():
        return "series"
    if suffix != ".npy" and glob.has_magic(str(source)) and not source.exists():
        return "series"
    return "array"


def _videos(source: Path) -> int:
    """How many videos a folder holds that is neither one nor a series itself."""
    if not source.is_dir() or image_files(source) or source.suffix.lower() == ".zarr":
        return 0
    if any(path.suffix.lower() in (*SUFFIXES, ".zarr") for path in source.iterdir()):
        return 0
    try:
        return len(find_videos(source))
    except FileNotFoundError:
        return 0


def outputs(target: Path, samples: int | None = None) -> list[Path]:
    """What predictions are written to: `target`, but each sample of a video has a name of its own.

    Args:
      target: for the predicted frames.
      samples: how many futures are drawn; None for one prediction.

    Returns:
      [target], or NAME-0.mp4, NAME-1.mp4, ... for NAME.mp4, a GIF and a folder of frames.
    """
    if samples is None or target.suffix not in (".mp4", ".gif", ""):
        return [target]
    names = (f"{target.stem}-{number}{target.suffix}" for number in range(samples))
    return [target.parent / name for name in names]


def prepare_outputs(
    source: Path, target: Path, gif: Path | None = None, *, samples: int | None = None
) -> None:
    """Makes the folders of the outputs; refuses outputs that could not be written afterwards.

    Args:
      source: the observed frames.
      target: for the predicted frames: .npy, or what `TARGETS` names for the kind of `source`.
      gif: the .gif file, if one is wanted.
      samples: how many futures are drawn, see `outputs`.

    Raises:
      FileNotFoundError: `source` is not there.
      FileExistsError: an output is a folder that holds something.
      ValueError: `source` is a folder of videos, a name has another ending, or an output is
        `source`.
      ImportError: the extra `report`, which a GIF needs, or `data` is not installed.
    """
    if not source.exists() and not glob.has_magic(str(source)):
        raise FileNotFoundError(f"source={str(source)!r}: no such file or folder")
    if count := _videos(source):
        raise ValueError(
            f"source={str(source)!r} is a folder of {count} video{'s' * (count > 1)}: give one "
            "video, or one folder of frames"
        )
    written = outputs(target, samples)
    for output in written:
        if output.resolve() == source.resolve():
            raise ValueError(
                f"target={str(output)!r} would replace the frames that it is made from"
            )
    suffixes = TARGETS[kind_of(source)]
    for field, path, valid in (("target", target, suffixes), ("gif", gif, (".gif",))):
        if path is not None and path.suffix not in valid:
            names = " or ".join(suffix or "nothing (a folder)" for suffix in valid)
            raise ValueError(f"{field}={str(path)!r}: expected a name that ends in {names}")
    for output in written:
        if output.suffix == "" and output.exists() and (output.is_file() or any(output.iterdir())):
            raise FileExistsError(f"target={str(output)!r} is there already: expected a new folder")
    for module in _NEEDS.get(target.suffix, ()):
        if importlib.util.find_spec(module) is None:
            raise ImportError(
                f"target={str(target)!r} needs the package {module}: pip install pdr-jax[data]"
            )
    if gif is not None:
        style.require("imageio.v3")
        style.prepare(gif, ".gif")
    target.parent.mkdir(parents=True, exist_ok=True)
