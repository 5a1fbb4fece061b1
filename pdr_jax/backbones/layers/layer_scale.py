"""Layer scale: a learned gain per channel on a residual branch."""

from flax import linen as nn
from jax import Array

from pdr_jax.backbones.layers.per_channel import apply_gain


def layer_scale(module: nn.Module, name: str, branch: Array, initial: float) -> Array:
    """Multiplies `branch` (..., C) by the parameter `name` (C,) of `module`.

    To be called in the module's compact method, which then has the parameter as its own.

    Args:
      module: owner of the parameter.
      name: of the parameter.
      branch: what is scaled.
      initial: value that every channel's gain starts with.

    Returns:
      (..., C) in the dtype of `branch`.
    """
    gain = module.param(name, nn.initializers.constant(initial), branch.shape[-1:])
    return apply_gain(branch, gain)
