"""The convolutions that turn a frame into features at an eighth of its size."""

from typing import Literal

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from pdr_jax.backbones.layers.conv import Conv
from pdr_jax.backbones.layers.norm import BatchNorm

Norm = Literal["instance", "batch", "none"]


def normalise(norm: Norm, x: Array, name: str) -> Array:
    """`x` (N, H, W, C) less its mean, over its deviation: of each map, or the trained ones.

    Args:
      norm: "instance" has no parameters, as torch.nn.InstanceNorm2d; "none" returns `x`.
      x: features.
      name: of the parameters of "batch".
    """
    if norm == "batch":
        return BatchNorm(name=name)(x, train=False)
    if norm == "none":
        return x
    centred = x - x.mean((1, 2), keepdims=True)
    return centred / jnp.sqrt((centred**2).mean((1, 2), keepdims=True) + 1e-5)


class Block(nn.Module):
    """A residual block: two 3x3 convolutions or, in the small model, a bottleneck of three.

    Attributes:
      features: output channels.
      stride: 1 or 2.
      norm: after each convolution.
      bottleneck: 1x1, 3x3 and 1x1 convolutions, the first two a quarter as wide.
    """

    features: int
    stride: int
    norm: Norm
    bottleneck: bool

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps (N, H, W, C) to (N, H / stride, W / stride, features)."""
        quarter = self.features // 4
        convolutions = (
            [(quarter, 1, 1), (quarter, 3, self.stride), (self.features, 1, 1)]
            if self.bottleneck
            else [(self.features, 3, self.stride), (self.features, 3, 1)]
        )
        y = x
        for k, (features, size, stride) in enumerate(convolutions, start=1):
            y = Conv(features, size, stride, name=f"conv{k}")(y)
            y = nn.relu(normalise(self.norm, y, f"norm{k}"))
        if self.stride > 1:
            x = Conv(self.features, 1, self.stride, name="downsample.0")(x)
            x = normalise(self.norm, x, f"norm{len(convolutions) + 1}")
        return nn.relu(x + y)


class Encoder(nn.Module):
    """Frames to features.

    Attributes:
      features: output channels.
      widths: of the three pairs of blocks.
      norm: after each convolution but the last.
      bottleneck: see `Block`.
    """

    features: int
    widths: tuple[int, int, int]
    norm: Norm
    bottleneck: bool

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps (N, H, W, 3), H and W multiples of 8, to (N, H / 8, W / 8, features)."""
        x = Conv(self.widths[0], 7, 2, name="conv1")(x)
        x = nn.relu(normalise(self.norm, x, "norm1"))
        for k, (width, stride) in enumerate(zip(self.widths, (1, 2, 2), strict=True), start=1):
            x = Block(width, stride, self.norm, self.bottleneck, name=f"layer{k}.0")(x)
            x = Block(width, 1, self.norm, self.bottleneck, name=f"layer{k}.1")(x)
        return Conv(self.features, 1, name="conv2")(x)
