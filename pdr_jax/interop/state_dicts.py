"""Finds the model's state dict, and its configuration, in what was saved by public PyTorch code."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pdr_jax import torch_files
from pdr_jax.interop import configurations

# The attribute that holds the model in a LightningModule: OpenSTL's, Earthformer's.
LIGHTNING = ("model.", "torch_nn_module.")
# Prefixes of keys from what wrapped the model: several devices, torch.compile, Lightning.
WRAPPERS = ("module.", "_orig_mod.", *LIGHTNING)


class Saved(NamedTuple):
    """What a file holds of a model.

    Attributes:
      state_dict: the model's parameters and buffers, under the names without wrappers' prefixes.
      config: the configuration that Lightning saved with the weights; else empty.
      format: the kind of file, in words.
      lightning: whether Lightning wrote the file, as OpenSTL v1.0 does and v0.3 does not. Keys
        tell it if only the weights were kept.
    """

    state_dict: dict[str, np.ndarray]
    config: dict[str, Any]
    format: str
    lightning: bool = False


def read(path: Path) -> Saved:
    """Reads OpenSTL v0.3's or PredFormer's .pth, Lightning's .ckpt, a bare state dict, or an .npz.

    Raises:
      FileNotFoundError: there is no such file.
      ImportError: the file needs PyTorch, which is missing or older than 2.6.
      ValueError: the file holds no state dict, is broken, or reading it would run code.
    """
    return unpack(torch_files.load(path), path.name)


def unpack(contents: Any, name: str) -> Saved:
    """Finds the state dict in the contents of a file, as `torch_files.load` returns them.

    Args:
      contents: a state dict, or a mapping with one under "state_dict".
      name: of the file, for error messages.

    Raises:
      ValueError: there is no state dict.
    """
    if not isinstance(contents, Mapping):
        raise ValueError(f"{name} holds a {type(contents).__name__}; expected a state dict")
    lightning = "pytorch-lightning_version" in contents
    state = contents.get("state_dict", contents)
    if not isinstance(state, Mapping):
        raise ValueError(f"{name} holds a {type(state).__name__} as its state_dict")
    others = [k for k, v in state.items() if not (isinstance(k, str) and isinstance(v, np.ndarray))]
    found = others or list(state)
    if lightning:  # a LightningModule may have buffers beside the model, such as a loss's window
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
    # OpenSTL's EMA hook keeps the parameters that it replaced as buffers of the model.
    replaced = {f"ema_{key.replace('.', '_')}" for key in state}
    state = {key: value for key, value in state.items() if key not in replaced}
    kind = "state dict"
    if "state_dict" in contents:
        kind = "checkpoint of Lightning" if lightning else "checkpoint of a training"
        if isinstance(epoch := contents.get("epoch"), int):
            kind += f", epoch {epoch}"
    config = configurations.flat(contents.get("hyper_parameters") or {})
    return Saved(state, config, kind, lightning)
