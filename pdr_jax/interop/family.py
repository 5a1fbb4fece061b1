"""How the model types of the public PyTorch code map to the backbones here."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pdr_jax.backbones import Backbone
from pdr_jax.interop import entries
from pdr_jax.interop.layouts import Layout

Rules = tuple[tuple[str, str], ...]


class Family(NamedTuple):
    """How one model type of OpenSTL or PredFormer maps to a backbone.

    Attributes:
      backbone: its name here.
      rules: (pattern, replacement) pairs applied in order to a module's path here ("a/b/c") to
        get the path there ("a.b.c"). A leaf "kernel" or "scale" is "weight" there.
      layouts: (pattern of a key there, layout) pairs, for variables that do not lie as
        `layouts.default` says; the first that matches counts.
      options: hyperparameters here from a configuration there, for those whose names or forms
        differ.
      config: the inverse: entries of a configuration there from a backbone.
      ignored: patterns of keys there that hold nothing learned that is used.
      buffers: what stands under the `ignored` keys of a model that PyTorch makes, from a backbone.
      in_shape: (T, C, H, W) from a configuration there.
      copies: (pattern, replacement) from keys there to further keys, `ignored` ones, under which
        the same tensors stand again: those of a module that two others hold.
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


# OpenSTL's model_type (of its SimVP and TAU) or method, in lower case -> the file here that knows
# it, imported when asked for.
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
        )
    },
}  # fmt: skip


def names() -> tuple[str, ...]:
    """The model types that can be imported."""
    return tuple(_FILES)


def model_type(config: Mapping[str, Any]) -> str:
    """The model type that a configuration names, in lower case; "" if it names none.

    OpenSTL writes a model_type into every configuration, but only its methods SimVP and TAU look at
    it.
    """
    method = str(config.get("method") or "").lower()
    if method not in ("", "simvp", "tau"):
        return method
    return str(config.get("model_type") or "").lower() or method


def naming(model_type: str) -> dict[str, str]:
    """The entries of a configuration that name a model type, as OpenSTL reads them."""
    if _FILES.get(model_type) in ("simvp", "metaformers", "transformers"):
        method = "tau" if model_type == "tau" else "simvp"
        return {"method": method, "model_type": model_type}
    return {"method": model_type}


def family(config: Mapping[str, Any]) -> Family:
    """The family of a configuration.

    Raises:
      ValueError: if there is none of that name.
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
    """The model type and the family that a backbone here belongs to; the inverse of `family`.

    Raises:
      ValueError: if the public PyTorch code has no such model.
    """
    for name in _FILES:
        if backbone in (name, f"simvp_{name}"):
            return name, _families(name)[name]
    raise ValueError(f"backbone={backbone!r}: the public PyTorch code has no such model")


def _families(name: str) -> dict[str, Family]:
    return importlib.import_module(f"pdr_jax.interop.{_FILES[name]}").FAMILIES
