"""Reads PyTorch's files without running code from them, and writes them.

A .pth, .pt or .ckpt file is a pickle, and a pickle can name code for its reader to run. PyTorch's
weights-only reader runs none; a file that needs some is refused. Callers see NumPy arrays. PyTorch
is the optional extra `openstl`; an .npz is read and written without it.

Both kinds are zip files, whose checksums `pdr_jax.zip_files` compares.
"""

import argparse
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pdr_jax import zip_files
from pdr_jax.files import replacing

# Names in the pickles of training checkpoints that belong to no weights. They are harmless, and are
# read as None: NumPy's numbers and arrays, paths, and what older versions of PyTorch stored of a
# one-cycle schedule.
HARMLESS = (
    "numpy.dtype",
    "numpy.ndarray",
    *(
        f"numpy.{core}.multiarray.{name}"
        for core in ("core", "_core")
        for name in ("_reconstruct", "scalar")
    ),
    "pathlib.PosixPath",
    "pathlib.WindowsPath",
    "pathlib._local.PosixPath",
    "pathlib._local.WindowsPath",
    "builtins.getattr",
    "torch.optim.lr_scheduler.OneCycleLR",
)

# Entries of a training checkpoint that are worth keeping when its file is refused.
WORTH_KEEPING = ("state_dict", "hyper_parameters", "pytorch-lightning_version")

# Entries of all its mappings and sequences together: a pickle can name one list many times.
MOST_ENTRIES = 1_000_000


def load(path: Path) -> Any:
    """Everything in a .pth, .pt or .ckpt file, or in an .npz.

    Returns:
      The file's mappings as dicts, its sequences as lists, and its tensors as NumPy arrays. Tensors
      of floating point become float32. An .npz is a dict of arrays; bfloat16, which NumPy stores
      as two bytes without a type, becomes float32.

    Raises:
      FileNotFoundError: there is no such file.
      ImportError: PyTorch is missing, or older than 2.6.
      ValueError: the file is broken, claims to hold more than `GROWTH` and `ROOM` allow, or reading
        it would run code.
    """
    if path.suffix.lower() == ".npz":
        return {
            name.removesuffix(".npy"): zip_files.array(path, name, data)
            for name, data in zip_files.entries(path)
        }
    return _load_torch(path)


def has_checksums(path: Path) -> bool:
    """Whether a file is a zip file, as NumPy and PyTorch since 1.6 write them."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def check_target(path: Path) -> None:
    """Checks that `save` can write `path` as a new file.

    Raises:
      FileExistsError: the file exists.
      FileNotFoundError: its folder does not exist.
      ImportError: PyTorch is missing or older than 2.6, and the file is no .npz.
      ValueError: the name ends in none of .pth, .pt and .npz.
    """
    if path.suffix not in (".pth", ".pt", ".npz"):
        raise ValueError(f"{path}: expected a name that ends in .pth, .pt or .npz")
    if path.exists():
        raise FileExistsError(f"{path} is there already: choose another name")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent} is no folder: make it, or choose another")
    if path.suffix != ".npz":
        _torch()


def save(path: Path, state_dict: Mapping[str, np.ndarray]) -> None:
    """Writes arrays by name: an .npz, or a file that `torch.load` reads. It appears whole or not.

    Raises:
      ImportError: PyTorch is missing or older than 2.6, and the file is no .npz.
    """
    with replacing(path) as partial:
        if path.suffix == ".npz":
            np.savez(partial, **state_dict)  # type: ignore[arg-type]  # its own arguments' names
        else:
            torch = _torch()
            tensors = {key: torch.from_numpy(np.array(v)) for key, v in state_dict.items()}
            torch.save(tensors, partial)


class _Nothing:
    """Stands for the names in `HARMLESS`; takes any arguments and any state."""

    def __new__(cls, *_: Any) -> "_Nothing":
        return super().__new__(cls)

    def __setstate__(self, _: Any) -> None:
        pass


def _load_torch(path: Path) -> Any:
    torch = _torch()
    if has_checksums(path):
        for _ in zip_files.entries(path):
            pass
    nothing = [(_Nothing, name) for name in HARMLESS]
    try:
        with torch.serialization.safe_globals(
            [(argparse.Namespace, "argparse.Namespace"), *nothing]
        ):
            contents = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a broken file may raise anything
        if (named := re.search(r"GLOBAL ([\w.]+)", str(error))) is None:
            raise zip_files.broken(path, error) from error
        raise ValueError(
            f"{path} is refused: it names {named[1]}, code that reading it would run, and weights "
            "need none. If you trust its source, keep only the weights. In an environment that can "
            f"open it: loaded = torch.load({path.name!r}, weights_only=False). Then, of a whole "
            "model, torch.save(loaded.state_dict(), 'weights.pth'); of a training, torch.save({k: "
            f"loaded[k] for k in {WORTH_KEEPING} if k in loaded}}, 'weights.pth'), without "
            f"hyper_parameters if they name {named[1]}"
        ) from error
    try:
        return _Arrays(path).read(contents)
    except (ValueError, TypeError, RuntimeError) as error:  # tensors without memory, endless lists
        raise zip_files.broken(path, error) from error


class _Arrays:
    """Turns tensors into arrays, and counts what that takes."""

    def __init__(self, path: Path) -> None:
        self.path, self.bytes, self.entries = path, 0, 0

    def read(self, value: Any) -> Any:
        self.entries += 1
        if self.entries > MOST_ENTRIES:
            raise ValueError(f"more than {MOST_ENTRIES} entries")
        if isinstance(value, Mapping):
            return {key: self.read(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.read(item) for item in value]
        if isinstance(value, argparse.Namespace):
            return self.read(vars(value))
        if isinstance(value, _Nothing):
            return None
        return self._tensor(value) if hasattr(value, "numpy") else value

    def _tensor(self, value: Any) -> np.ndarray:
        # A view may repeat a few bytes often, and PyTorch trusts what the pickle says of sizes.
        self.bytes += value.numel() * value.element_size()
        zip_files.check_size(self.path, self.bytes)
        if (size := value.untyped_storage().nbytes()) > self.path.stat().st_size:
            raise ValueError(f"a tensor of {size} bytes, more than the file has")
        tensor = value.detach()
        return (tensor.float() if tensor.is_floating_point() else tensor).numpy()


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            "PyTorch is not installed, and files of PyTorch need it: pip install "
            "'pdr-jax[openstl]'. An .npz of the same arrays needs no PyTorch"
        ) from error
    if torch.__version__ < "2.6":
        raise ImportError(
            f"torch {torch.__version__} is installed, whose weights-only reader can be made to run "
            "code. Install 2.6 or newer: pip install 'pdr-jax[openstl]'"
        )
    return torch
