"""Reading PyTorch's arrays from an .npz, or from a checkpoint where PyTorch is installed."""

import os
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np


def read(
    path: str | os.PathLike[str], expected: Mapping[str, tuple[int, ...]], recipe: str
) -> dict[str, np.ndarray]:
    """The expected arrays, float32; others in the file are ignored.

    Args:
      path: an .npz, or a state dict saved by PyTorch (any other ending).
      expected: names and shapes.
      recipe: how to make the .npz, for error messages.

    Raises:
      FileNotFoundError: no such file.
      ImportError: a PyTorch file, and PyTorch is not installed.
      ValueError: not such a file, or an array is missing or has another shape.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file. {recipe}")
    arrays = (
        _read_npz(path, expected, recipe) if path.suffix == ".npz" else _read_torch(path, recipe)
    )
    missing = [name for name in expected if name not in arrays]
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}. {recipe}")
    for name, shape in expected.items():
        if arrays[name].shape != shape:
            raise ValueError(f"{path}: {name} has shape {arrays[name].shape}; expected {shape}")
    return {name: np.asarray(arrays[name], np.float32) for name in expected}


def _read_npz(
    path: Path, expected: Mapping[str, tuple[int, ...]], recipe: str
) -> dict[str, np.ndarray]:
    try:
        # Opened here: np.load leaves a broken file open.
        with path.open("rb") as handle, np.load(handle, allow_pickle=False) as file:
            return {name: file[name] for name in expected if name in file.files}
    except (ValueError, EOFError, zipfile.BadZipFile, AttributeError, TypeError) as error:
        raise ValueError(f"{path} is no complete .npz ({error}). {recipe}") from error


def _read_torch(path: Path, recipe: str) -> dict[str, np.ndarray]:
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            f"{path} is read by PyTorch, which is not installed; give an .npz instead. {recipe}"
        ) from error
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        return {name: tensor.numpy() for name, tensor in state.items()}
    except (pickle.UnpicklingError, RuntimeError, EOFError, AttributeError) as error:
        raise ValueError(f"{path} is no state dict of PyTorch ({error}). {recipe}") from error
