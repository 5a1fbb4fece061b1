"""Peripheral frequency gating (PFGNet, CVPR 2026): large kernels, mixed at each pixel.

How rough a pixel's surroundings are decides which size of kernel it sees.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array
from jax.nn.initializers import zeros
from jax.typing import DTypeLike

from pdr_jax.backbones.layers.conv import Conv
from pdr_jax.backbones.layers.depthwise import depthwise_conv
from pdr_jax.backbones.layers.initializers import LayerInit, he_fan_out
from pdr_jax.backbones.layers.per_channel import apply_gain

SOBEL = np.outer([1, 2, 1], [-1, 0, 1])
LAPLACE = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]])
BOX = np.full((3, 3), 1 / 9)


def he_of_all_channels(groups: int) -> LayerInit:
    """He's, with the fan-out of all `groups` together.

    So a depthwise kernel starts sqrt(groups) times smaller than the other translators'.
    """
    return lambda fan_in, fan_out: he_fan_out(fan_in, fan_out * groups)


def separable(x: Array, size: int, initializer: LayerInit, dtype: DTypeLike | None) -> Array:
    """A depthwise convolution 1 x `size` ("wide"), then `size` x 1 ("tall").

    To be called in a module's compact method, which then has the two as its own.
    """
    depthwise = functools.partial(
        Conv, x.shape[-1], groups=x.shape[-1], use_bias=False, initializer=initializer, dtype=dtype
    )
    return depthwise((size, 1), name="tall")(depthwise((1, size), name="wide")(x))


class PeripheralBranch(nn.Module):
    """A separable convolution less tanh(beta) times a 3x3 one: the surroundings without the centre.

    beta (C,) starts at 0.
    """

    size: int
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Transforms `x` (N, H, W, C) to the same shape."""
        d = x.shape[-1]
        initializer = he_of_all_channels(d)
        y = separable(x, self.size, initializer, self.dtype)
        centre = Conv(
            d, 3, groups=d, use_bias=False, initializer=initializer, dtype=self.dtype, name="centre"
        )(x)
        beta = self.param("beta", zeros, (d,))
        return y - apply_gain(centre, jnp.tanh(beta))


def structure(x: Array) -> Array:
    """How rough each pixel's surroundings are: (N, H, W, C) -> (N, H, W, 3), float32 or wider.

    Means over channels of the Sobel gradient's magnitude, of the Laplacian's, and of the variance
    in 3x3 pixels; zeros outside the frame, which count.
    """
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))

    def filtered(x: Array, taps: np.ndarray) -> Array:
        kernel = jnp.asarray(taps, x.dtype).reshape(3, 3, 1, 1)
        return depthwise_conv(x, jnp.broadcast_to(kernel, (3, 3, 1, x.shape[-1])))

    gradient = jnp.square(filtered(x, SOBEL)) + jnp.square(filtered(x, SOBEL.T))
    variance = filtered(jnp.square(x), BOX) - jnp.square(filtered(x, BOX))
    maps = (
        jnp.sqrt(gradient + 1e-6),
        jnp.abs(filtered(x, LAPLACE)),
        jnp.maximum(variance, 0),
    )
    return jnp.stack([each.mean(-1) for each in maps], axis=-1)


class PeripheralGating(nn.Module):
    """Branches of several sizes, mixed at each pixel by a softmax over what `structure` sees."""

    sizes: tuple[int, ...]
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Transforms `x` (N, H, W, C) to the same shape."""
        logits = Conv(len(self.sizes), initializer=he_fan_out, name="gate")(structure(x))
        weights = jax.nn.softmax(logits, axis=-1).astype(x.dtype)
        parts = [
            PeripheralBranch(size, self.dtype, name=f"branch_{i}")(x) * weights[..., i : i + 1]
            for i, size in enumerate(self.sizes)
        ]
        return sum(parts[1:], start=parts[0])
