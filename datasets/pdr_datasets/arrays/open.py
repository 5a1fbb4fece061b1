"""Opens an array as a data set: samples or windows, split, checked and scaled."""

import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from pdr_datasets.arrays.axes import describe, find_axes
from pdr_datasets.arrays.files import read_array
from pdr_datasets.arrays.joined import Joined
from pdr_datasets.arrays.scaling import Statistics, fit
from pdr_datasets.arrays.stores import check_chunks
from pdr_datasets.arrays.values import as_values, describe_range, survey
from pdr_datasets.arrays.view import Samples, View, Windows
from pdr_datasets.dataset import Scoring, VideoDataset, check_lengths
from pdr_datasets.series import window_starts
from pdr_datasets.units import Units


def open_arrays(
    path: str | os.PathLike[str] | None = None,
    array: Any = None,
    *,
    in_length: int | None = None,
    out_length: int | None = None,
    key: str | None = None,
    levels: Any = None,
    axes: str | None = None,
    crop: tuple[int, int] | None = None,
    pad: tuple[int, int] | None = None,
    stride: int = 1,
    test_fraction: float = 0.2,
    scaling: Any = None,
    per_channel: bool = False,
    missing: str = "refuse",
) -> VideoDataset:
    """Opens a user's own data; nothing is copied to disk.

    The array has one of two forms: samples (N, T, H, W, C), each of them one clip, or one long
    series (T, H, W, C), from which windows are cut. Values are uint8 (0..255) or floating-point;
    the latter are served as float32, and checked once for NaN and infinity. Arrays with the CF
    attributes scale_factor, add_offset, _FillValue, missing_value or _Unsigned are decoded as
    xarray decodes them. Missing values and masked entries are refused, or masked.

    Where a file names its axes and one of them is time, they are told by their names, no window
    crosses a gap in time, errors of floating-point values are measured in stored units, and those
    of rows with latitudes are weighted.

    Args:
      path: a .npy (memory-mapped), .npz (read whole), .zarr, NetCDF (.nc, .nc4) or HDF5 (.h5,
        .hdf5) file; or a folder or a pattern ("era5_*.nc") of files with times, which are put in
        order. Give this or `array`.
      array: NumPy's, or anything that can be sliced and has shape and dtype.
      in_length: frames given, T. For samples the default is the first half.
      out_length: frames to predict, T'. For samples the default is all that follow.
      key: name of the array in a file that holds several; in a group, "group/name".
      levels: values of the axis beside time, rows and columns ("level", "number"), which become
        channels: one, or a sequence. Only where the file names its axes and has such an axis.
      axes: what the axes are: "NTHWC", "NTCHW", "NCTHW", "NTHW", "THWC", "TCHW" or "THW". By
        default they are told from the shape, see `find_axes`; `VideoDataset.reading` says how.
      crop: (height, width) to keep, from the top left.
      pad: (height, width) to reach, after `crop`, by repeating the bottom row and the right column,
        at most to twice the size. What is added is trained on and scored like the rest.
      stride: frames between the starts of neighbouring windows of a series.
      test_fraction: in [0, 1], the share of the samples, or of a series' time, that is for testing:
        the last ones. No window lies across the boundary.
      scaling: of floating-point values: "minmax" (to [0, 1], the default), "zscore", or a pair
        (offset, scale), see `Units`. The first two are fitted on the training part. uint8 values
        are divided by 255.
      per_channel: whether each channel has its own scaling, or all share one.
      missing: what is done with missing values (NaN, fill values, masked entries) among
        floating-point ones: "refuse", or "mask", which keeps them as NaN. Then losses and metrics
        leave them out, and the model sees 0 in model units.

    Returns:
      The data set. A sample's id is its index in the array; a window's id is its first frame.

    Raises:
      ValueError: an argument or a value in the array is refused, or a part has no window.
      TypeError: the array is neither uint8 nor floating-point.
      FileNotFoundError: there is no file `path`.
      OSError: the file is broken.
      ImportError: a package that the file needs is not installed.
    """
    if (path is None) == (array is None):
        raise ValueError("give either path= (a file) or array=, and not both.")
    for field, value in (("key", key), ("levels", levels)):
        if array is not None and value is not None:
            raise ValueError(f"{field}={value!r}: has a meaning for files only.")
    label = "array" if path is None else f"path={str(path)!r}"
    data, note = (
        (array, check_chunks(array, label)) if path is None else read_array(path, key, levels)
    )
    named = data if isinstance(data, Joined) else None
    if missing not in ("refuse", "mask"):
        raise ValueError(f"missing={missing!r}: expected 'refuse' or 'mask'.")
    data = as_values(data, label, missing == "mask")
    if data.dtype == np.uint8 and (scaling is not None or per_channel):
        raise ValueError(
            f"scaling={scaling!r}, per_channel={per_channel!r}: uint8 values are divided by 255. "
            "Convert the array to float32 for another scaling."
        )
    check_lengths(*(1 if given is None else given for given in (in_length, out_length)))
    if named and axes is not None:
        raise ValueError(f"axes={axes!r}: the axes of {label} have names; leave axes out.")
    axes = find_axes(
        data.shape, named.axes if named else axes, (in_length or 1) + (out_length or 1)
    )
    if 0 in data.shape:
        raise ValueError(f"{label} has shape {tuple(data.shape)}: it is empty.")
    view = View(data, axes, crop, pad, label)
    if not isinstance(per_channel, bool):
        raise ValueError(f"per_channel={per_channel!r}: expected True or False.")
    if not isinstance(test_fraction, int | float) or not 0 <= test_fraction <= 1:
        raise ValueError(f"test_fraction={test_fraction!r}: expected 0 to 1.")
    if not isinstance(stride, int) or isinstance(stride, bool) or stride < 1:
        raise ValueError(f"stride={stride!r}: expected a whole number of frames, at least 1.")
    is_series = len(view.shape) == 4
    if is_series:
        in_length, out_length = _series_lengths(in_length, out_length)
    else:
        if stride != 1:
            raise ValueError(f"stride={stride}: has a meaning for one long series only.")
        in_length, out_length = _sample_lengths(view.shape[1], in_length, out_length)
    length, total = in_length + out_length, view.shape[0]
    runs = named.runs if named else [[0, total]]
    boundary = total - round(total * test_fraction)
    splits: dict[str, Any] = {}
    for name, first, last in (("train", 0, boundary), ("test", boundary, total)):
        if first == last:
            continue
        if not is_series:
            splits[name] = Samples(view, first, last, length)
            continue
        stretches = _between(runs, first, last)
        starts = window_starts(stretches, length, stride)
        if not starts:
            gaps = f", at most {max(n for _, n in stretches)} without a gap" * (len(stretches) > 1)
            raise ValueError(
                f"the {name} part has {last - first} of the series' {total} frames{gaps}, fewer "
                f"than one window of in_length + out_length = {length}. Shorten the window, or "
                f"change test_fraction={test_fraction}."
            )
        splits[name] = Windows(view, starts, length)
    scoring = Scoring()
    if named:
        latitudes = view.rows(named.latitudes) if named.latitudes else ()
        floating = view.dtype != np.uint8
        scoring = Scoring("stored" if floating else "model", floating, latitudes=latitudes)
    if view.dtype == np.uint8:
        units, data_range, fill = Units(), (0.0, 1.0), None
        note = " ".join(filter(None, (note, describe_range(view, boundary or total))))
    else:
        statistics = survey(view, data, label, boundary, missing == "mask")
        units, data_range = _units(*statistics[:2], view.shape[-1], boundary, scaling, per_channel)
        fill = 0.0 if statistics[2] else None
        if statistics[2]:
            share = statistics[2] / math.prod(view.shape)
            note = " ".join(filter(None, (note, f"Missing values: {statistics[2]} ({share:.2%}).")))
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
        fill=fill,
        overlap=(length - 1) // stride if is_series else 0,
        note=note,
        scoring=scoring,
        reading=f"read as {describe(data.shape, axes)} from axes "
        + (named.reading if named else axes),
    )


def _between(runs: Sequence[Sequence[int]], first: int, last: int) -> list[list[int]]:
    """The stretches of `runs` that lie within frames first ... last - 1."""
    edges = [(max(start, first), min(start + count, last)) for start, count in runs]
    return [[start, stop - start] for start, stop in edges if start < stop]


def _series_lengths(in_length: int | None, out_length: int | None) -> tuple[int, int]:
    if in_length is None or out_length is None:
        raise ValueError(
            f"in_length={in_length}, out_length={out_length}: one long series is cut into "
            "windows of in_length + out_length frames; give both."
        )
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
    return in_length, out_length


def _units(
    train: Statistics,
    everything: Statistics,
    channels: int,
    boundary: int,
    scaling: Any,
    per_channel: bool,
) -> tuple[Units, tuple[float, float]]:
    """The fields units and data_range of `VideoDataset` of floating-point values."""
    fitted = train if boundary else everything
    statistics = fitted if per_channel else fitted.over_channels()
    offset, scale = fit(
        "minmax" if scaling is None else scaling, statistics if boundary else None, channels
    )
    low = float(((fitted.low - offset) / scale).min())
    high = float(((fitted.high - offset) / scale).max())
    return Units(_plain(offset), _plain(scale)), (low, high)


def _plain(values: np.ndarray) -> float | tuple[float, ...]:
    return float(values[0]) if len(values) == 1 else tuple(map(float, values))
