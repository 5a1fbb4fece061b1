"""The recurrent step that improves a flow, and the heads that read its state."""

import functools

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from pdr_jax.backbones.layers.conv import Conv


class MotionEncoder(nn.Module):
    """Looked-up correlations and the flow so far -> `features` channels, the last two the flow.

    Attributes:
      features: output channels.
      correlation: widths of the convolutions of the correlations, 1x1 and then 3x3.
      flow: widths of the convolutions of the flow, 7x7 and 3x3.
    """

    features: int
    correlation: tuple[int, ...]
    flow: tuple[int, int]

    @nn.compact
    def __call__(self, correlation: Array, flow: Array) -> Array:
        """Maps (N, h, w, C) and (N, h, w, 2) to (N, h, w, features)."""
        x, y = correlation, flow
        for k, (width, size) in enumerate(zip(self.correlation, (1, 3), strict=False), start=1):
            x = nn.relu(Conv(width, size, name=f"convc{k}")(x))
        for k, (width, size) in enumerate(zip(self.flow, (7, 3), strict=True), start=1):
            y = nn.relu(Conv(width, size, name=f"convf{k}")(y))
        both = jnp.concatenate([x, y], -1)
        both = nn.relu(Conv(self.features - 2, 3, name="conv")(both))
        return jnp.concatenate([both, flow], -1)


class GRU(nn.Module):
    """A convolutional gated recurrent unit for each kernel, one after the other.

    Attributes:
      kernels: height and width of each unit's kernel, by the end of its convolutions' names.
    """

    kernels: tuple[tuple[str, tuple[int, int]], ...]

    @nn.compact
    def __call__(self, hidden: Array, x: Array) -> Array:
        """The next state (N, h, w, H), from the last one and input (N, h, w, C)."""
        for end, kernel in self.kernels:
            conv = functools.partial(Conv, hidden.shape[-1], kernel)
            both = jnp.concatenate([hidden, x], -1)
            renewed = nn.sigmoid(conv(name=f"convz{end}")(both))
            kept = nn.sigmoid(conv(name=f"convr{end}")(both))
            both = jnp.concatenate([kept * hidden, x], -1)
            new = jnp.tanh(conv(name=f"convq{end}")(both))
            hidden = (1 - renewed) * hidden + renewed * new
        return hidden


class Head(nn.Module):
    """A 3x3 convolution and a last one, which read the state.

    Attributes:
      width: of the first.
      features: output channels.
      size: side of the last one's kernel.
      names: of both.
    """

    width: int
    features: int
    size: int
    names: tuple[str, str]

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps (N, h, w, H) to (N, h, w, features)."""
        x = nn.relu(Conv(self.width, 3, name=self.names[0])(x))
        return Conv(self.features, self.size, name=self.names[1])(x)
