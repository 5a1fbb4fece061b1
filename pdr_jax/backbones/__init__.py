"""Predictor backbones: Flax modules from a clip (B, T, H, W, C) to the clip that follows.

module = backbones.create("tau", in_shape=(10, 128, 128, 1), hid_S=64, hid_T=256, N_S=2, N_T=6)
variables = module.init(jax.random.key(0), frames)
prediction = module.apply(variables, frames, horizon=20)
"""

import dataclasses
import difflib
import importlib
from collections.abc import Sequence
from typing import Any

from pdr_jax.backbones.base import Backbone, Card, Forcing

__all__ = [
    "ABSENT",
    "Backbone",
    "Card",
    "Forcing",
    "backbone",
    "card",
    "create",
    "hyperparameters",
    "names",
]

# Name -> file and class, imported when asked for.
_BACKBONES = {
    "simvp_incepu": ("simvp", "SimVPIncepU"),
    "simvp_gsta": ("simvp", "SimVPgSTA"),
    "tau": ("tau", "TAU"),
    "simvp_convmixer": ("convmixer", "ConvMixer"),
    "simvp_convnext": ("convnext", "ConvNeXt"),
    "simvp_hornet": ("hornet", "HorNet"),
    "simvp_mlp": ("mlp_mixer", "MLPMixer"),
    "simvp_moga": ("moganet", "MogaNet"),
    "simvp_poolformer": ("poolformer", "PoolFormer"),
    "simvp_swin": ("swin", "Swin"),
    "simvp_uniformer": ("uniformer", "UniFormer"),
    "simvp_van": ("van", "VAN"),
    "simvp_vit": ("vit", "ViT"),
    "pfgnet": ("pfgnet", "PFGNet"),
    "mmvp": ("mmvp", "MMVP"),
    "convlstm": ("convlstm", "ConvLSTM"),
    "predrnn": ("predrnn", "PredRNN"),
    "predrnnpp": ("predrnnpp", "PredRNNpp"),
    "predrnnv2": ("predrnnv2", "PredRNNv2"),
    "mim": ("mim", "MIM"),
    "e3dlstm": ("e3dlstm", "E3DLSTM"),
    "mau": ("mau", "MAU"),
    "phydnet": ("phydnet", "PhyDNet"),
    "swinlstm_b": ("swinlstm", "SwinLSTMB"),
    "swinlstm_d": ("swinlstm", "SwinLSTMD"),
    "predformer": ("predformer", "PredFormer"),
    "wast": ("wast", "WaST"),
    "dmvfn": ("dmvfn", "DMVFN"),
    "prednet": ("prednet", "PredNet"),
    "crevnet": ("crevnet", "CrevNet"),
    "earthformer": ("earthformer", "Earthformer"),
    "vmrnn_b": ("vmrnn", "VMRNNB"),
    "vmrnn_d": ("vmrnn", "VMRNND"),
}

# Published predictors that cannot be here -> why.
ABSENT = {
    "ustep": "USTEP: Spatio-Temporal Predictive Learning under A Unified View (arXiv 2310.05829) "
    "has no public code, and no public text that tells its gates, its encoder and its sizes: "
    "there is nothing to hold a backbone of that name against",
}

_NOT_ASKED = ("in_shape", "remat", "parent", "name")


def names() -> tuple[str, ...]:
    """The names that `create` knows."""
    return tuple(_BACKBONES)


def hyperparameters(name: str) -> dict[str, Any]:
    """The hyperparameters of backbone `name`, with their defaults; `remat` changes no figures.

    Raises:
      ValueError: if there is no such backbone.
    """
    fields = dataclasses.fields(backbone(name))
    return {f.name: f.default for f in fields if f.name not in _NOT_ASKED}


def card(name: str) -> Card:
    """The model card of backbone `name`.

    Raises:
      ValueError: if there is no such backbone.
    """
    return backbone(name).card


def create(name: str, in_shape: Sequence[int], **hyperparameters: Any) -> Backbone:
    """Makes a backbone.

    Args:
      name: one of `names()`.
      in_shape: (T, H, W, C) of the input clip.
      **hyperparameters: those of `hyperparameters(name)`; the defaults fill the rest. Lists, such
        as JSON's, stand for tuples.

    Returns:
      A module called as `module.apply(variables, frames, horizon=None, train=False)`.

    Raises:
      ValueError: on an unknown name, or a setting that is impossible; the message lists what is.
      TypeError: on an unknown hyperparameter, or one of the wrong type.
    """
    cls: Any = backbone(name)  # its fields are its own
    valid = _hyperparameters(name)
    for field in hyperparameters:
        if field not in valid:
            raise TypeError(
                f"{name} has no hyperparameter {field!r}{_suggest(field, valid)}; "
                f"it has {', '.join(valid)}"
            )
    given = {k: tuple(v) if isinstance(v, list) else v for k, v in hyperparameters.items()}
    module = cls(in_shape=tuple(in_shape), **given)
    module.check()
    return module


_hyperparameters = hyperparameters  # `create` has a parameter of that name


def backbone(name: str) -> type[Backbone]:
    """The class of backbone `name`.

    Raises:
      ValueError: if there is no such backbone.
    """
    if name in ABSENT:
        raise ValueError(f"backbone={name!r} is not here: {ABSENT[name]}")
    if name not in _BACKBONES:
        raise ValueError(
            f"backbone={name!r}{_suggest(name, _BACKBONES)}: "
            f"expected one of {', '.join(_BACKBONES)}"
        )
    file, cls = _BACKBONES[name]
    return getattr(importlib.import_module(f"pdr_jax.backbones.{file}"), cls)


def _suggest(given: str, valid: Any) -> str:
    close = difflib.get_close_matches(str(given), list(valid), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
