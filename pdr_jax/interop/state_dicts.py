"""Finds the model's state dict, and its configuration, in what was saved by public PyTorch code."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pdr_jax import torch_files
from pdr_jax.interop import configurations, safetensors
from pdr_jax.interop.wrappers import LIGHTNING, unwrapped


class Saved(NamedTuple):
    """What a file holds of a model.

    Attributes:
      state_dict: the model's parameters and buffers, under the names without wrappers' prefixes.
      config: the configuration that Lightning saved with the weights; else empty.
      format: the kind of file, in words.
      lightning: whether Lightning wrote the file, as OpenSTL v1.0 does and v0.3 does not. Keys
        tell it if only the weights were kept.
      remarks: what was left out, and what could not be checked; sentences.
    """

    state_dict: dict[str, np.ndarray]
    config: dict[str, Any]
    format: str
    lightning: bool = False
    remarks: tuple[str, ...] = ()


def read(path: Path) -> Saved:
    """Reads .pth of OpenSTL v0.3 or PredFormer, .ckpt of Lightning, .safetensors and .npz.

    Raises:
      FileNotFoundError: there is no such file.
      ImportError: the file needs PyTorch, which is missing or older than 2.6.
      ValueError: the file holds no state dict, is broken, or reading it would run code.
    """
    load = safetensors.load if path.suffix.lower() == ".safetensors" else torch_files.load
    saved = unpack(load(path), path.name)
    if torch_files.has_checksums(path):
        return saved
    remark = f"{path.name} has no checksums: a damaged number would not be seen."
    return saved._replace(remarks=(*saved.remarks, remark))


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
    entry = _entry(contents, name)
    state = contents.get(entry, contents)
    if not isinstance(state, Mapping):
        raise ValueError(f"{name} holds a {type(state).__name__} as its {entry}")
    others = [k for k, v in state.items() if not (isinstance(k, str) and isinstance(v, np.ndarray))]
    found = others or list(state)
    if others or not state:
        raise ValueError(
            f"{name} holds no state dict: expected arrays by name, or those as state_dict, found "
            f"{', '.join(map(str, found[:8])) or 'nothing'}"
        )
    model, prefix, remarks = unwrapped(state, name)
    lightning = "pytorch-lightning_version" in contents or prefix in LIGHTNING
    kind = "state dict"
    if state is not contents:
        kind = "checkpoint of Lightning" if lightning else "checkpoint of a training"
        if isinstance(epoch := contents.get("epoch"), int):
            kind += f", epoch {epoch}"
    settings = contents.get("hyper_parameters")
    config = configurations.flat(settings if isinstance(settings, Mapping) else {})
    return Saved(model, config, kind, lightning, tuple(remarks))


def _entry(contents: Mapping[Any, Any], name: str) -> Any:
    """The entry that holds the state dict: "state_dict", or else the only one with arrays by name.

    None stands for the contents themselves.

    Raises:
      ValueError: there are several such entries.
    """
    if "state_dict" in contents:
        return "state_dict"
    found = [
        key
        for key, value in contents.items()
        if isinstance(value, Mapping)
        and value
        and all(isinstance(array, np.ndarray) for array in value.values())
    ]
    if len(found) > 1:
        raise ValueError(
            f"{name} holds several state dicts, {' and '.join(map(str, found))}: keep one, as "
            "state_dict"
        )
    return found[0] if found else None
