"""Predictor backbones: Flax modules from a clip (B, T, H, W, C) to the clip that follows.

module = backbones.create("tau", in_shape=(10, 128, 128, 1), hid_S=64, hid_T=256, N_S=2, N_T=6)
variables = module.init(jax.random.key(0), frames)
prediction = module.apply(variables, frames, horizon=20)
"""

import dataclasses
import difflib
from collections.abc import Sequence
from typing import Any

from flax import linen as nn

from pdr_jax.backbones.shell import SimVPShell
from pdr_jax.backbones.simvp import SimVPgSTA, SimVPIncepU
from pdr_jax.backbones.tau import TAU

__all__ = ["create", "hyperparameters", "names"]

_BACKBONES: dict[str, type[SimVPShell]] = {
    "simvp_incepu": SimVPIncepU,
    "simvp_gsta": SimVPgSTA,
    "tau": TAU,
}


def names() -> tuple[str, ...]:
    """The names that `create` knows."""
    return tuple(_BACKBONES)


def hyperparameters(name: str) -> dict[str, Any]:
    """The hyperparameters of backbone `name`, with their defaults.

    Raises:
      ValueError: if there is no such backbone.
    """
    fields = dataclasses.fields(_backbone(name))
    return {f.name: f.default for f in fields if f.name not in ("in_shape", "parent", "name")}


def create(name: str, in_shape: Sequence[int], **hyperparameters: Any) -> nn.Module:
    """Makes a backbone.

    Args:
      name: one of `names()`.
      in_shape: (T, H, W, C) of the input clip.
      **hyperparameters: those of `hyperparameters(name)`; the defaults fill the rest.

    Returns:
      A module called as `module.apply(variables, frames, horizon=None, train=False)`.

    Raises:
      ValueError: on an unknown name, or a setting that is impossible; the message lists what is.
      TypeError: on an unknown hyperparameter, or one that is not a number.
    """
    cls = _backbone(name)
    valid = _hyperparameters(name)
    for given in hyperparameters:
        if given not in valid:
            raise TypeError(
                f"{name} has no hyperparameter {given!r}{_suggest(given, valid)}; "
                f"it has {', '.join(valid)}"
            )
    module = cls(in_shape=tuple(in_shape), **hyperparameters)
    module.check()
    return module


_hyperparameters = hyperparameters  # `create` uses the name for what it is given


def _backbone(name: str) -> type[SimVPShell]:
    if name not in _BACKBONES:
        raise ValueError(
            f"unknown backbone {name!r}{_suggest(name, _BACKBONES)}; "
            f"choose from {', '.join(_BACKBONES)}"
        )
    return _BACKBONES[name]


def _suggest(given: str, valid: Any) -> str:
    close = difflib.get_close_matches(str(given), list(valid), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
