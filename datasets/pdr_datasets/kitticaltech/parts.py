"""Finds the files of KittiCaltech, and reads the frames of both parts."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from pdr_datasets.hdf5 import read_block
from pdr_datasets.kitticaltech.caltech import find_videos, read_video
from pdr_datasets.kitticaltech.hickle import open_array, read_texts
from pdr_datasets.npy import open_npy

FRAME = (128, 160, 3)
EXPECTED_FILES = (
    "Either X_train.hkl and sources_train.hkl of PredNet's KITTI (in kitti_hkl/), and of Caltech "
    "Pedestrian either OpenSTL's data_cache.npy and indices_cache.npy (in caltech/) or the "
    "official videos set06/V000.seq to set10.\n"
    "Or OpenSTL's train_data.npy, train_idx.npy, test_data.npy, test_idx.npy (in "
    "kitticaltech_npy/). https://github.com/chengtan9907/OpenSTL/blob/OpenSTL-Lightning/"
    "tools/prepare_data/download_kitticaltech.sh says where they are."
)
_BLOCK = 256  # frames read at a time
_HKL = ("X_train.hkl", "sources_train.hkl", "data_cache.npy", "indices_cache.npy")
_NPY = ("train_data.npy", "train_idx.npy", "test_data.npy", "test_idx.npy")
_VIDEOS = (
    "Test clips were made of Caltech's videos by OpenSTL's rules. Whether its cache holds the same "
    "pixels is not known: none was at hand to compare."
)


@dataclasses.dataclass(frozen=True)
class Part:
    """Frames of one part, which have not been read.

    Attributes:
      count: recordings.
      recordings: iterates over the frames, (128, 160, 3) uint8, of one after another.
      note: on where they come from, or "".
    """

    count: int
    recordings: Callable[[], Iterator[Iterator[np.ndarray]]]
    note: str = ""


def open_parts(folder: Path) -> dict[str, Part]:
    """The parts "train" and "test", from whichever files there are.

    Raises:
      FileNotFoundError: files are missing; the message names them.
      OSError: a file is broken.
      ValueError: a file is there twice, or holds something else.
    """
    found = {name: sorted(folder.rglob(name)) for name in (*_HKL, *_NPY)}
    for name, paths in found.items():
        if len(paths) > 1:
            raise ValueError(f"{name} is there twice: {paths[0]} and {paths[1]}. Keep one.")
    videos = [] if found[_HKL[2]] else find_videos(folder)
    names = _NPY if found[_NPY[0]] and not found[_HKL[0]] else _HKL
    needed = names[:2] if videos and names == _HKL else names
    if missing := [name for name in needed if not found[name]]:
        raise FileNotFoundError(
            f"{str(folder)!r} does not hold {', '.join(missing)}.\n{EXPECTED_FILES}"
        )
    files = [found[name][0] for name in needed]
    train = _kitti(*files[:2]) if names == _HKL else _array(*files[:2])
    if needed == names:
        return {"train": train, "test": _array(*files[2:])}
    test = Part(len(videos), lambda: map(read_video, videos), _VIDEOS)
    return {"train": train, "test": test}


def _cut(runs: list[list[int]], read: Callable[[int, int], np.ndarray]) -> Part:
    """The part of these runs, [first frame, frames]; `read` takes a start and an end."""

    def frames(first: int, end: int) -> Iterator[np.ndarray]:
        for start in range(first, end, _BLOCK):
            yield from read(start, min(start + _BLOCK, end))

    return Part(len(runs), lambda: (frames(first, first + count) for first, count in runs))


def _kitti(path: Path, sources: Path) -> Part:
    """PredNet's files: frames, and the name of the drive of each."""
    with open_array(path) as (_, data):
        shape = data.shape
        _check(path, shape, data.dtype, (np.uint8,))
    texts = read_texts(sources)
    if len(texts) != shape[0]:
        raise ValueError(
            f"{sources} holds {len(texts)} names, and {path.name} {shape[0]} frames: expected one "
            "for each."
        )
    edges = [k for k in range(1, len(texts)) if texts[k] != texts[k - 1]]
    firsts, ends = [0, *edges], [*edges, len(texts)]

    def read(start: int, stop: int) -> np.ndarray:
        with open_array(path) as (name, data):
            return read_block(path, name, data, start, stop)

    return _cut([[a, b - a] for a, b in zip(firsts, ends, strict=True)], read)


def _array(path: Path, starts: Path) -> Part:
    """OpenSTL's files: frames, uint8 or from 0 to 1; and where clips start."""
    frames, places = open_npy(path), np.sort(np.asarray(open_npy(starts)).ravel())
    _check(path, frames.shape, frames.dtype, (np.uint8, np.float32, np.float64))
    count = len(frames)
    if not len(places) or places.dtype.kind not in "iu":
        raise ValueError(f"{starts} holds {places.dtype} {places.shape}: expected whole numbers.")
    # Clips of one recording follow each other without a gap, so the least distance is their length.
    distances = np.diff(places)
    length = int(distances.min()) if len(distances) else count - int(places[0])
    if length < 1 or places[0] < 0 or places[-1] + length > count:
        raise ValueError(
            f"{starts} holds clips from {places[0]} to {places[-1]}, {length} frames apart or "
            f"more: expected clips that share no frame, within the {count} frames of {path.name}."
        )

    def read(start: int, stop: int) -> np.ndarray:
        block = np.asarray(frames[start:stop])
        if block.dtype == np.uint8:
            return block
        if (bad := np.argwhere(~((block >= 0) & (block <= 1)))).size:  # NaN too
            raise ValueError(
                f"{path}: frame {start + bad[0][0]} holds {block[tuple(bad[0])]}: expected values "
                "from 0 to 1, or uint8."
            )
        return np.rint(block * 255).astype(np.uint8)

    return _cut([[int(first), length] for first in places], read)


def _check(path: Path, shape: tuple[int, ...], dtype: np.dtype, known: tuple[type, ...]) -> None:
    if shape[1:] != FRAME or not shape[0] or dtype not in known:
        height, width, channels = FRAME
        raise ValueError(
            f"{path} holds {dtype} {shape}: expected {known[0].__name__} (N, {height}, {width}, "
            f"{channels})."
        )
