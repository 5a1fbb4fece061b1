"""How the model types of the public PyTorch code map to the backbones here."""

import importlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pdr_jax import backbones
from pdr_jax.backbones import Backbone
from pdr_jax.interop import entries
from pdr_jax.interop.layouts import Layout

# (pattern, replacement) pairs for re.sub, applied in order.
Rules = tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...]


class Family(NamedTuple):
    """How one model type of OpenSTL or PredFormer maps to a backbone.

    Attributes:
      backbone: the backbone's name here.
      rules: turn a module's path here ("a/b/c") into the path there ("a.b.c"), see `renamed`. A
        leaf "kernel" or "scale" is "weight" there.
      layouts: (pattern of a key there, layout) pairs for variables that `layouts.default` does not
        fit; the first match counts.
      options: from a configuration there, the hyperparameters here whose names or forms differ.
      config: the inverse of `options`: entries of a configuration there, from a backbone.
      ignored: patterns of keys there that hold nothing learned, or nothing that is used.
      buffers: what a model of PyTorch holds under the `ignored` keys, from a backbone.
      in_shape: (T, C, H, W), from a configuration there.
      copies: turn keys there into further keys, among the `ignored`, that hold the same tensors:
        PyTorch lists the tensors of a module twice if two modules own it.
    """

    backbone: str
    rules: Rules
    layouts: tuple[tuple[str, Layout], ...] = ()
    options: Callable[[Mapping[str, Any]], dict[str, Any]] = lambda config: {}
    config: Callable[[Backbone], dict[str, Any]] = lambda module: {}
    ignored: tuple[str, ...] = ()
    buffers: Callable[[Backbone], dict[str, np.ndarray]] = lambda module: {}
    in_shape: Callable[[Mapping[str, Any]], Sequence[int]] = entries.in_shape
    copies: Rules = ()

    def hyperparameters(self, module: Backbone) -> dict[str, Any]:
        """Those of a backbone that are set; without dtype, which is no property of weights."""
        return {
            field: value
            for field in backbones.hyperparameters(self.backbone)
            if field != "dtype" and (value := getattr(module, field)) is not None
        }


# OpenSTL's model_type (of its methods SimVP and TAU) or method, in lower case -> the file here that
# holds its family. The file is imported on first use.
_FILES = {
    **dict.fromkeys(("incepu", "gsta", "tau"), "simvp"),
    **dict.fromkeys(
        ("convmixer", "convnext", "hornet", "mlp", "moga", "poolformer", "van"), "metaformers"
    ),
    **dict.fromkeys(("swin", "uniformer", "vit"), "transformers"),
    **dict.fromkeys(("convlstm", "predrnn", "predrnnpp", "predrnnv2", "mim", "e3dlstm"), "predrnn"),
    **dict.fromkeys(("swinlstm_b", "swinlstm_d"), "swinlstm"),
    **dict.fromkeys(("vmrnn_b", "vmrnn_d"), "vmrnn"),
    **{
        name: name
        for name in (
            "mau", "phydnet", "predformer", "wast", "dmvfn", "prednet", "crevnet", "earthformer",
            "pfg", "mmvp",
        )
    },
}  # fmt: skip


def renamed(path: str, rules: Rules) -> str:
    """A module's path there, "a.b.c", from its path here, "a/b/c"."""
    for pattern, replacement in rules:
        path = re.sub(pattern, replacement, path)
    return path.replace("/", ".")


def names() -> tuple[str, ...]:
    """The model types that can be imported."""
    return tuple(_FILES)


def model_type(config: Mapping[str, Any]) -> str:
    """The model type that a configuration names, in lower case; "" if it names none.

    OpenSTL writes a model_type into every configuration, but only its methods SimVP and TAU use it.
    """
    method = str(config.get("method") or "").lower()
    if method not in ("", "simvp", "tau"):
        return method
    return str(config.get("model_type") or "").lower() or method


def naming(model_type: str) -> dict[str, str]:
    """The entries of an OpenSTL configuration that name a model type."""
    if _FILES.get(model_type) in ("simvp", "metaformers", "transformers"):
        method = "tau" if model_type == "tau" else "simvp"
        return {"method": method, "model_type": model_type}
    return {"method": model_type}


def family(config: Mapping[str, Any]) -> Family:
    """The family of the model type that a configuration names.

    Raises:
      ValueError: the configuration names no known model type.
    """
    name = model_type(config)
    if name == "simvp":  # OpenSTL's default for this method
        name = "gsta"
    if name not in _FILES:
        raise ValueError(
            f"config has model_type = {config.get('model_type')!r}, "
            f"method = {config.get('method')!r}; expected one of {', '.join(_FILES)}"
        )
    return _families(name)[name]


def family_of(backbone: str) -> tuple[str, Family]:
    """The model type and the family of a backbone; the inverse of `family`.

    Args:
      backbone: a name in `pdr_jax.backbones`.

    Raises:
      ValueError: the public PyTorch code has no such model.
    """
    for name in _FILES:
        if (kind := _families(name)[name]).backbone == backbone:
            return name, kind
    raise ValueError(f"backbone={backbone!r}: the public PyTorch code has no such model")


def _families(name: str) -> dict[str, Family]:
    return importlib.import_module(f"pdr_jax.interop.{_FILES[name]}").FAMILIES
