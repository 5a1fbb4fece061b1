"""What values an array may hold, and what is said of those that it should not."""

from typing import Any

import numpy as np

from pdr_datasets.arrays.packed import unpack
from pdr_datasets.arrays.scaling import Statistics
from pdr_datasets.arrays.view import View
from pdr_datasets.bounds import check_claim

_DARK = 32  # the largest value of ordinary uint8 frames is greater


def as_values(array: Any, label: str, masked: bool = False) -> Any:
    """The array in a form that is sliced, with decoded values; nothing is read if it need not be.

    Args:
      array: NumPy's, or anything that can be sliced and has shape and dtype, or np.asarray's.
      label: names it in messages.
      masked: whether masked entries are allowed, of floating-point values; they become NaN.

    Raises:
      TypeError: it is no array of numbers, or has a dtype that is neither uint8 nor floating-point,
        and no attributes that say how to decode it.
      ValueError: it is ragged, holds masked entries or bad attributes, or claims far more values
        than it holds.
    """
    array = _as_array(array, label)
    if isinstance(array, np.ma.MaskedArray):
        if masked and np.issubdtype(array.dtype, np.floating):
            array = np.ma.array(array.filled(np.nan))
        if np.ma.is_masked(array):
            mask = np.ma.getmaskarray(array)
            where = _where(np.unravel_index(np.argmax(mask), mask.shape))
            raise ValueError(
                f"{label} holds {int(mask.sum())} masked entries, the first at {where}. Fill "
                "them, as with array.filled(0), or leave these frames out."
            )
        array = array.data
    if isinstance(array, np.ndarray):
        low, high = np.lib.array_utils.byte_bounds(array)
        remedy = "It is a view that repeats its data, as np.broadcast_to makes; pass the data."
        check_claim(label, array.nbytes, high - low, remedy)
    try:
        array = unpack(array)
    except ValueError as error:
        raise ValueError(f"{label}: {error}") from error
    if array.dtype == np.bool_:
        raise TypeError(
            f"{label} has dtype bool: expected uint8 or floating-point. Convert it: "
            "array.astype('uint8') * 255, or array.astype('float32')."
        )
    if array.dtype != np.uint8 and not np.issubdtype(array.dtype, np.floating):
        raise TypeError(
            f"{label} has dtype {array.dtype}: expected uint8 (0..255), floating-point, or "
            "integers with the attributes scale_factor and add_offset. Convert it, for example "
            "with array.astype('float32')."
        )
    return array


def survey(
    view: View, data: Any, label: str, boundary: int, masked: bool = False
) -> tuple[Statistics, Statistics, int]:
    """Reads a floating-point view once.

    Args:
      view: of `data`.
      data: as `as_values` returns it.
      label: names it in messages.
      boundary: how many entries of the first axis are for training.
      masked: whether NaN, which stands for missing values, is allowed.

    Returns:
      The statistics of the training part and of all, and the number of missing values.

    Raises:
      ValueError: values are infinite, or missing without `masked`; the message says how many, and
        where the first is.
    """
    train, everything = (Statistics.empty(view.shape[-1]) for _ in range(2))
    count = missing = 0
    first: tuple[int, ...] = ()
    for start, block in view.chunks():
        missing += int(np.isnan(block).sum())
        bad = np.isinf(block) if masked else ~np.isfinite(block)
        if bad.any():
            index = np.unravel_index(np.argmax(bad), bad.shape)
            first = first or _where((index[0] + start, *index[1:]))
            count += int(bad.sum())
        if count:
            continue
        if start < boundary:
            train.update(block[: boundary - start])
        everything.update(block)
    if count:
        fills = getattr(data, "fills", {})
        marks = "".join(f" or its {name} {value}" for name, value in fills.items())
        what = "infinite" if masked else f"NaN or infinite{marks}"
        remedy = "; or, where they are missing values, set the data option missing='mask'"
        raise ValueError(
            f"{label} holds {count} values that are {what}, the first at {first} (channels last). "
            f"Fill these, or leave these frames out{'' if masked else remedy}."
        )
    return train, everything, missing


def describe_range(view: View, stop: int) -> str:
    """A note if the uint8 values of the entries before `stop` do not look like 0..255; else ""."""
    high = 0
    for _, block in view.chunks(stop):
        high = max(high, int(block.max()))
        if high >= _DARK:
            return ""
    if not stop:
        return ""
    return (
        f"The largest value for training is {high}, but uint8 frames are divided by 255, so that "
        "errors are tiny and PSNR is high whatever is predicted. Masks of 0 and 1 should be "
        "multiplied by 255; other values converted to float32, which is scaled to its range."
    )


def _as_array(array: Any, label: str) -> Any:
    shape = getattr(array, "shape", None)
    if isinstance(shape, tuple) and all(isinstance(n, int | np.integer) for n in shape):
        try:
            np.dtype(array.dtype)
        except (AttributeError, TypeError):
            pass  # another library's, such as torch.float32
        else:
            return array
    what = f"{label} is a {type(array).__name__} that NumPy cannot read"
    try:
        made = np.asarray(array)
    except (TypeError, ValueError, RuntimeError) as error:
        reason = str(error).rstrip(".")
        raise TypeError(
            f"{what}: {reason}. Expected a NumPy array, or lists of equal length."
        ) from error
    if made.dtype == object:
        raise TypeError(f"{what} as numbers. Pass a NumPy array, such as tensor.numpy().")
    return made


def _where(index: Any) -> tuple[int, ...]:
    return tuple(int(place) for place in index)
