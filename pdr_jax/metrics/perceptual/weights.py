"""Reads trained arrays from an .npz, or from a file of PyTorch where PyTorch is installed."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pdr_jax import torch_files


def read(
    path: str | os.PathLike[str], expected: Mapping[str, tuple[int, ...]], recipe: str
) -> dict[str, np.ndarray]:
    """The expected arrays in float32; other arrays in the file are ignored.

    Args:
      path: an .npz, or with any other ending a state dict saved by PyTorch.
      expected: names and shapes.
      recipe: how to make the .npz, for error messages.

    Raises:
      FileNotFoundError: no such file.
      ImportError: a file of PyTorch, which is not installed or too old to read it safely.
      ValueError: the file cannot be read, or an array is missing, has another shape, or is not
        finite.
    """
    path = Path(path)
    return checked(path, load(path, recipe), expected, recipe)


def load(path: Path, recipe: str) -> Mapping[str, np.ndarray]:
    """All arrays of a file; arguments and errors as in `read`."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file. {recipe}")
    try:
        arrays = torch_files.load(path)
        if not isinstance(arrays, Mapping):
            raise ValueError(f"{path.name} holds a {type(arrays).__name__}; expected a state dict")
    except (ImportError, ValueError) as error:
        raise type(error)(f"{error}. {recipe}") from error
    return arrays


def checked(
    path: Path,
    arrays: Mapping[str, np.ndarray],
    expected: Mapping[str, tuple[int, ...]],
    recipe: str,
) -> dict[str, np.ndarray]:
    """The expected ones of a file's arrays; arguments and errors as in `read`."""
    missing = [name for name in expected if name not in arrays]
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise ValueError(f"{path} lacks {', '.join(missing[:3])}{more}. {recipe}")
    for name, shape in expected.items():
        if np.shape(arrays[name]) != shape:
            raise ValueError(f"{path}: {name} has shape {np.shape(arrays[name])}; expected {shape}")
        array = np.asarray(arrays[name])
        if array.dtype.kind != "f" or not np.isfinite(array).all():
            raise ValueError(f"{path}: {name} is not all finite; expected floating-point weights")
    return {name: np.asarray(arrays[name], np.float32) for name in expected}
