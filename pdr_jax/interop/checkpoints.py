"""Checkpoints of the public PyTorch code.

A checkpoint of PyTorch is a pickle, which may name code to be run. It is read by PyTorch's reader
of weights alone, which imports and runs nothing; a file that needs more is refused. All that is not
in `load` or `save` is NumPy: PyTorch itself is the optional extra `openstl`.
"""

import argparse
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pdr_jax.interop import configurations

# What the model is called in a module of Lightning's: OpenSTL's, Earthformer's.
LIGHTNING = ("model.", "torch_nn_module.")
# What wrapped the model when it was saved: several devices, Lightning, torch.compile.
WRAPPERS = ("module.", "_orig_mod.", *LIGHTNING)

# What of a training's checkpoint `unpack` looks at.
KEPT = ("state_dict", "hyper_parameters", "pytorch-lightning_version")

# Names in OpenSTL's files that stand beside the weights and are not needed: they are read as
# nothing. Numbers and arrays of NumPy, paths, and how older PyTorch wrote its one-cycle schedule.
UNREAD = (
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


class Checkpoint(NamedTuple):
    """What a file holds.

    Attributes:
      state_dict: the model's, under the names that it gives them itself.
      config: the configuration that was saved beside it; Lightning does so.
      format: which kind of file that was, in words.
      lightning: whether Lightning wrote it, as OpenSTL's branch of v1.0 does; v0.3 did not. The
        names tell, where nothing but the weights was kept.
    """

    state_dict: dict[str, np.ndarray]
    config: dict[str, Any]
    format: str
    lightning: bool = False


def read(path: Path) -> Checkpoint:
    """Reads OpenSTL v0.3's or PredFormer's .pth, Lightning's .ckpt, a bare state dict, or an .npz.

    Raises:
      ImportError: PyTorch is not installed.
      ValueError: the file is no checkpoint, or one that would have to run code to be read.
    """
    return unpack(load(path), path.name)


def unpack(contents: Any, name: str) -> Checkpoint:
    """Finds the state dict among what `load` returns of the file `name`.

    Raises:
      ValueError: there is none.
    """
    if not isinstance(contents, Mapping):
        raise ValueError(f"{name} holds a {type(contents).__name__}; expected a state dict")
    lightning = "pytorch-lightning_version" in contents
    state = contents.get("state_dict", contents)
    if not isinstance(state, Mapping):
        raise ValueError(f"{name} holds a {type(state).__name__} as its state_dict")
    others = [k for k, v in state.items() if not (isinstance(k, str) and isinstance(v, np.ndarray))]
    found = others or list(state)
    if lightning:  # its module may have buffers besides the model: a loss's
        state = {key: value for key, value in state.items() if str(key).startswith(LIGHTNING)}
    if others or not state:
        expected = "arrays by name" + (f", of {' or '.join(LIGHTNING)}" if lightning else "")
        raise ValueError(
            f"{name} holds no state dict: expected {expected}, found "
            f"{', '.join(map(str, found[:8])) or 'nothing'}"
        )
    lightning = all(key.startswith(LIGHTNING) for key in state)
    while wrapper := next((w for w in WRAPPERS if all(key.startswith(w) for key in state)), None):
        state = {key.removeprefix(wrapper): value for key, value in state.items()}
    # OpenSTL's EMA hook has the parameters that it swapped out as buffers of the model.
    swapped = {f"ema_{key.replace('.', '_')}" for key in state}
    state = {key: value for key, value in state.items() if key not in swapped}
    kind = "state dict"
    if "state_dict" in contents:
        kind = "checkpoint of Lightning" if lightning else "checkpoint of a training"
        if isinstance(epoch := contents.get("epoch"), int):
            kind += f", epoch {epoch}"
    config = configurations.flat(contents.get("hyper_parameters") or {})
    return Checkpoint(state, config, kind, lightning)


def load(path: Path) -> Any:
    """Everything in a file, with arrays for tensors; see `read`."""
    try:
        if path.suffix == ".npz":
            # Opened here: np.load leaves a broken file open.
            with path.open("rb") as handle, np.load(handle, allow_pickle=False) as file:
                return dict(file)
        return _load_torch(path)
    except (OSError, ImportError):
        raise
    except Exception as error:  # whatever a strange file leads to
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        if named is None:
            # Without PyTorch's advice, around its reason, to read the file in the unsafe way.
            *_, reason = re.sub(r"\n\nCheck the documentation.*", "", str(error)).split("\n\n")
            reason = f"{type(error).__name__}: {reason}"
            raise ValueError(f"{path} is no checkpoint, or a broken one: {reason}") from error
        raise ValueError(
            f"{path} is refused: it names {named[1]}, code that reading it would run, and weights "
            "need none. If you trust where it comes from, keep what is needed, there: loaded = "
            f"torch.load({path.name!r}, weights_only=False); then, of a whole model, torch.save("
            "loaded.state_dict(), 'weights.pth'), of a training, torch.save({k: loaded[k] for k in "
            f"{KEPT} if k in loaded}}, 'weights.pth'), without hyper_parameters if they are it"
        ) from error


def check_target(path: Path) -> None:
    """Refuses what `save` could not write as a new file.

    Raises:
      FileExistsError: something is there.
      FileNotFoundError: its folder is not.
      ImportError: PyTorch is not installed, and the file is no .npz.
      ValueError: its name has another ending.
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
    """Writes a state dict, as PyTorch does or as an .npz; it appears whole or not at all.

    Raises:
      ImportError: PyTorch is not installed, and the file is no .npz.
    """
    partial = path.with_name(f".partial.{path.name}")
    try:
        if path.suffix == ".npz":
            np.savez(partial, **state_dict)  # type: ignore[arg-type]  # its own arguments' names
        else:
            torch = _torch()
            tensors = {key: torch.from_numpy(np.array(v)) for key, v in state_dict.items()}
            torch.save(tensors, partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


class _Nothing:
    """What is read in place of `UNREAD` names: it takes any arguments and any state."""

    def __new__(cls, *_: Any) -> "_Nothing":
        return super().__new__(cls)

    def __setstate__(self, _: Any) -> None:
        pass


def _load_torch(path: Path) -> Any:
    torch = _torch()
    harmless = [(argparse.Namespace, "argparse.Namespace"), *((_Nothing, name) for name in UNREAD)]
    with torch.serialization.safe_globals(harmless):
        return _arrays(torch.load(path, map_location="cpu", weights_only=True))


def _arrays(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _arrays(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_arrays(item) for item in value]
    if isinstance(value, argparse.Namespace):
        return _arrays(vars(value))
    if isinstance(value, _Nothing):
        return None
    if hasattr(value, "numpy"):
        tensor = value.detach()
        return (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    return value


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            "files of PyTorch need it: pip install 'pdr-jax[openstl]'; an .npz of the state dict's "
            "arrays needs nothing"
        ) from error
    if torch.__version__ < "2.6":
        raise ImportError(
            f"torch {torch.__version__} is installed: its reader of weights could be made to run "
            "code. Install 2.6 or newer: pip install 'pdr-jax[openstl]'"
        )
    return torch
