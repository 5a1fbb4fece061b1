"""Which model a state dict belongs to, and the model's whole configuration."""

from collections.abc import Mapping
from typing import Any

from pdr_jax import backbones
from pdr_jax.interop import clues
from pdr_jax.interop.family import family, model_type, naming


def model(config: Mapping[str, Any], shapes: clues.Shapes) -> str:
    """The model type that the keys of a state dict and a configuration agree on.

    Args:
      config: the configuration, which may be empty.
      shapes: of the state dict's tensors, by key.

    Raises:
      ValueError: neither tells the model type, or they disagree.
    """
    named, told = model_type(config), clues.model_type(shapes)
    if named in ("", "simvp"):
        named = told
    if not named:
        raise ValueError(
            f"config is missing: weights such as {', '.join(list(shapes)[:4])} are of no known "
            "model; expected its configuration, or its name as settings.method"
        )
    if told not in ("", named):
        raise ValueError(f"the configuration is of {named!r}, the weights are of {told!r}")
    return named


def completed(
    name: str, config: Mapping[str, Any], shapes: clues.Shapes, in_shape: tuple[int, ...]
) -> dict[str, Any]:
    """A configuration for `from_openstl`: what the weights tell fills what `config` leaves open.

    Args:
      name: the model type.
      config: the configuration so far.
      shapes: of the state dict's tensors, by key.
      in_shape: the clip's, (T, H, W, C).

    Raises:
      ValueError: a setting is missing that the weights do not tell.
    """
    length, height, width, channels = in_shape
    whole = {
        **clues.sizes(name, shapes, channels),
        **config,
        **naming(name),
        "in_shape": [length, channels, height, width],
    }
    backbone = family(naming(name)).backbone
    fields = set(backbones.hyperparameters(backbone)) - {"dtype", "faithful"}
    absent = clues.missing(name, whole)
    if not clues.are_read(name) and not fields & config.keys():
        absent = absent or tuple(sorted(fields))
    if absent:
        raise ValueError(
            f"settings.{absent[0]} is missing: weights of {name} do not tell its "
            f"{', '.join(absent)}; expected these settings, or a configuration (config)"
        )
    return whole
