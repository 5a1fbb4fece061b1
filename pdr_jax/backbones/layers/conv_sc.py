"""ConvSC: the convolution, normalisation and activation of SimVP's encoder and decoder."""

import jax
from flax import linen as nn
from jax import Array
from jax.typing import DTypeLike

from pdr_jax.backbones.layers.conv import Conv
from pdr_jax.backbones.layers.initializers import normal_002
from pdr_jax.backbones.layers.norm import group_norm
from pdr_jax.backbones.layers.patches import unpatchify


class ConvSC(nn.Module):
    """Convolution, GroupNorm with 2 groups, SiLU; optionally halves or doubles the resolution.

    Attributes:
      features: output channels, even.
      kernel_size: odd side of the kernel.
      down: convolve with stride 2.
      up: convolve to 4 times the channels and move them to 2x2 cells.
      dtype: compute dtype.
    """

    features: int
    kernel_size: int = 3
    down: bool = False
    up: bool = False
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps (N, H, W, C) to (N, H', W', features)."""
        x = Conv(
            self.features * (4 if self.up else 1),
            self.kernel_size,
            stride=2 if self.down else 1,
            initializer=normal_002,
            dtype=self.dtype,
            name="conv",
        )(x)
        if self.up:
            x = unpatchify(x, 2)
        return jax.nn.silu(group_norm(2, dtype=self.dtype, name="norm")(x))
