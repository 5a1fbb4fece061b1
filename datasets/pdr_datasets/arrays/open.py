"""Opens an array as a data set: samples or windows, split, checked and scaled."""

import os
from collections.abc import Iterator
from typing import Any, SupportsIndex

import numpy as np

from pdr_datasets.arrays.files import read_array
from pdr_datasets.arrays.layout import channels_last, find_layout
from pdr_datasets.arrays.scaling import Statistics, fit
from pdr_datasets.dataset import VideoDataset, check_lengths
from pdr_datasets.units import Units

_CHUNK_BYTES = 64 * 2**20  # checked at a time


class _Array:
    """A channels-last, cropped view of stored data, read along its first axis as needed."""

    def __init__(self, data: Any, layout: str, crop: tuple[int, int] | None):
        self._data, self._layout = data, layout
        full = channels_last(np.broadcast_to(np.uint8(0), data.shape), layout).shape
        height, width = full[-3:-1] if crop is None else crop
        if not (1 <= height <= full[-3] and 1 <= width <= full[-2]):
            raise ValueError(f"crop={crop}: the frames are {full[-3]} x {full[-2]}.")
        self._crop = (..., slice(height), slice(width), slice(None))
        self.shape = (*full[:-3], height, width, full[-1])
        self.dtype = np.dtype(np.uint8 if data.dtype == np.uint8 else np.float32)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Entries start ... stop - 1 of the first axis."""
        block = channels_last(np.asarray(self._data[start:stop]), self._layout)
        return np.ascontiguousarray(block[self._crop], self.dtype)

    def chunks(self) -> Iterator[tuple[int, np.ndarray]]:
        """All entries, at most _CHUNK_BYTES at a time, each chunk with its start."""
        entry = self.dtype.itemsize * int(np.prod(self.shape[1:]))
        step = max(1, _CHUNK_BYTES // entry)
        for start in range(0, self.shape[0], step):
            yield start, self.read(start, min(start + step, self.shape[0]))


class _Samples:
    """Source of the samples first ... last - 1 of (N, T, H, W, C)."""

    def __init__(self, array: _Array, first: int, last: int, length: int):
        self._array, self._first, self._length = array, first, length
        self._number = last - first

    def __len__(self) -> int:
        return self._number

    def __getitem__(self, index: SupportsIndex) -> dict[str, Any]:
        position = self._first + range(self._number)[index]
        frames = self._array.read(position, position + 1)[0, : self._length]
        return {"frames": frames, "id": np.int64(position)}


class _Windows:
    """Source of the windows that lie within frames first ... last - 1 of (T, H, W, C)."""

    def __init__(self, array: _Array, first: int, last: int, length: int, stride: int):
        self._array, self._length = array, length
        self._starts = range(first, last - length + 1, stride)

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: SupportsIndex) -> dict[str, Any]:
        start = self._starts[index]
        return {"frames": self._array.read(start, start + self._length), "id": np.int64(start)}


def open_arrays(
    path: str | os.PathLike[str] | None = None,
    array: Any = None,
    *,
    in_length: int | None = None,
    out_length: int | None = None,
    key: str | None = None,
    layout: str | None = None,
    crop: tuple[int, int] | None = None,
    stride: int = 1,
    test_fraction: float = 0.2,
    scaling: Any = None,
    per_channel: bool = False,
) -> VideoDataset:
    """Opens a user's own data; nothing is copied to disk.

    The array has one of two forms: samples (N, T, H, W, C), each of them one clip, or one long
    series (T, H, W, C), from which windows are cut. Values are uint8 (0..255) or floating-point;
    the latter are served as float32, and checked once for NaN and infinity.

    Args:
      path: a .npy (memory-mapped), .npz (read whole) or .zarr file; give this or `array`.
      array: NumPy's, or anything that can be sliced and has shape and dtype.
      in_length: frames given, T. For samples the default is the first half.
      out_length: frames to predict, T'. For samples the default is all that follow.
      key: name of the array in an .npz or a Zarr group that holds several.
      layout: what the axes are: "NTHWC", "NTCHW", "NTHW", "THWC", "TCHW" or "THW". By default it is
        told from the shape, see `find_layout`.
      crop: (height, width) to keep, from the top left.
      stride: frames between the starts of neighbouring windows of a series.
      test_fraction: in [0, 1], the share of the samples, or of a series' time, that is for testing:
        the last ones. No window lies across the boundary.
      scaling: of floating-point values: "minmax" (to [0, 1], the default), "zscore", or a pair
        (offset, scale), see `Units`. The first two are fitted on the training part. uint8 values
        are divided by 255.
      per_channel: whether each channel has its own scaling, or all share one.

    Returns:
      The data set. A sample's id is its index in the array; a window's id is its first frame.

    Raises:
      ValueError: an argument or a value in the array is refused, or a part has no window.
      TypeError: the array is neither uint8 nor floating-point.
      FileNotFoundError: there is no file `path`.
      ImportError: `path` is .zarr, and the package zarr is not installed.
    """
    if (path is None) == (array is None):
        raise ValueError("give either path= (a file) or array=, and not both.")
    data = read_array(path, key) if path is not None else _as_array(array, key)
    _check_dtype(data.dtype, scaling, per_channel)
    view = _Array(data, find_layout(data.shape, layout), crop)
    if 0 in view.shape:
        raise ValueError(f"array has shape {tuple(data.shape)}: it is empty.")
    if not 0 <= test_fraction <= 1:
        raise ValueError(f"test_fraction={test_fraction}: expected 0 to 1.")
    if not isinstance(stride, int) or stride < 1:
        raise ValueError(f"stride={stride!r}: expected a whole number of frames, at least 1.")
    is_series = len(view.shape) == 4
    if is_series:
        in_length, out_length = _series_lengths(in_length, out_length)
    else:
        if stride != 1:
            raise ValueError(f"stride={stride}: has a meaning for one long series only.")
        in_length, out_length = _sample_lengths(view.shape[1], in_length, out_length)
    length = in_length + out_length
    total = view.shape[0]
    boundary = total - round(total * test_fraction)
    splits: dict[str, Any] = {}
    for name, first, last in (("train", 0, boundary), ("test", boundary, total)):
        if first == last:
            continue
        if is_series and last - first < length:
            raise ValueError(
                f"the {name} part has {last - first} of the series' {total} frames, fewer than "
                f"one window of in_length + out_length = {length}. Shorten the window, or change "
                f"test_fraction={test_fraction}."
            )
        splits[name] = (
            _Windows(view, first, last, length, stride)
            if is_series
            else _Samples(view, first, last, length)
        )
    units, data_range = _units(view, boundary, scaling, per_channel)
    return VideoDataset(
        name="arrays",
        config=f"{os.path.basename(path) if path is not None else 'array'}"
        f"_{in_length}to{out_length}",
        splits=splits,
        in_length=in_length,
        out_length=out_length,
        frame_shape=view.shape[-3:],
        units=units,
        data_range=data_range,
        overlap=(length - 1) // stride if is_series else 0,
    )


def _as_array(array: Any, key: str | None) -> Any:
    if key is not None:
        raise ValueError(f"key={key!r}: has a meaning for files only.")
    return array if hasattr(array, "shape") and hasattr(array, "dtype") else np.asarray(array)


def _check_dtype(dtype: Any, scaling: Any, per_channel: bool) -> None:
    if dtype == np.uint8:
        if scaling is not None or per_channel:
            raise ValueError(
                f"scaling={scaling!r}, per_channel={per_channel}: uint8 values are divided by "
                "255. Convert the array to float32 for another scaling."
            )
    elif not np.issubdtype(dtype, np.floating):
        raise TypeError(
            f"array has dtype {dtype}: expected uint8 (0..255) or floating-point. Convert it, "
            "for example with array.astype('float32')."
        )


def _series_lengths(in_length: int | None, out_length: int | None) -> tuple[int, int]:
    if in_length is None or out_length is None:
        raise ValueError(
            f"in_length={in_length}, out_length={out_length}: one long series is cut into "
            "windows of in_length + out_length frames; give both."
        )
    check_lengths(in_length, out_length)
    return in_length, out_length


def _sample_lengths(stored: int, in_length: int | None, out_length: int | None) -> tuple[int, int]:
    if in_length is None:
        in_length = stored // 2 if out_length is None else stored - out_length
    if out_length is None:
        out_length = stored - in_length
    if in_length < 1 or out_length < 1 or in_length + out_length > stored:
        raise ValueError(
            f"in_length={in_length}, out_length={out_length}: each sample has {stored} frames; "
            "expected at least one frame of each and no more than these together."
        )
    check_lengths(in_length, out_length)
    return in_length, out_length


def _units(
    view: _Array, boundary: int, scaling: Any, per_channel: bool
) -> tuple[Units, tuple[float, float]]:
    """The fields units and data_range of `VideoDataset`; checks the values on the way."""
    if view.dtype == np.uint8:
        return Units(), (0.0, 1.0)
    train, everything = (Statistics.empty(view.shape[-1]) for _ in range(2))
    for start, block in view.chunks():
        bad = ~np.isfinite(block)
        if bad.any():
            where = np.argwhere(bad)[0]
            raise ValueError(
                f"array holds {int(bad.sum())} or more values that are NaN or infinite, the first "
                f"at {(int(where[0]) + start, *map(int, where[1:]))} (channels last). Fill or "
                "remove them first."
            )
        if start < boundary:
            train.update(block[: boundary - start])
        everything.update(block)
    fitted = train if boundary else everything
    statistics = fitted if per_channel else fitted.over_channels()
    offset, scale = fit(
        "minmax" if scaling is None else scaling, statistics if boundary else None, view.shape[-1]
    )
    low = float(((fitted.low - offset) / scale).min())
    high = float(((fitted.high - offset) / scale).max())
    return Units(_plain(offset), _plain(scale)), (low, high)


def _plain(values: np.ndarray) -> float | tuple[float, ...]:
    return float(values[0]) if len(values) == 1 else tuple(map(float, values))
