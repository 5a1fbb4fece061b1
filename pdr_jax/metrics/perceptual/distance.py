"""The distance of two frames from a network's activations, which LPIPS and ST-LPIPS share."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from pdr_jax.arrays import on_pairs
from pdr_jax.metrics.perceptual.alexnet import Params

# LPIPS' channel statistics, for images in [-1, 1].
_SHIFT = np.array([-0.030, -0.088, -0.188], np.float32)
_SCALE = np.array([0.458, 0.448, 0.450], np.float32)

CHUNK_PIXELS = 2**15
"""Pixels of prediction and of target that pass through the network at a time.

A long test clip must not fill the memory, and larger chunks were no faster on a CPU.
"""


class Network(NamedTuple):
    """A network whose activations are compared.

    Attributes:
      name: of the distance, for error messages.
      activations: from parameters and images to the activations of the five layers.
      smallest: smallest height and width that leave pixels in every layer.
    """

    name: str
    activations: Callable[[Params, Float[Array, "N H W 3"]], list[Float[Array, "N h w c"]]]
    smallest: int


@on_pairs
def distance(
    network: Network,
    params: Params,
    prediction: Float[Array, "*B H W C"],
    target: Float[Array, "*B H W C"],
) -> Float[Array, "*B"]:
    """Distance of each pair of frames: symmetric, and 0 (up to rounding) for equal frames.

    Args:
      network: whose activations are compared.
      params: of `alexnet.parameters`.
      prediction: in [0, 1]; C = 1 (grey, repeated to three channels) or 3 (RGB).
      target: like prediction.

    Returns:
      Distances in float32, or in float64 for float64 frames and parameters.

    Raises:
      ValueError: unequal shapes, C other than 1 or 3, or frames that are too small.
    """
    height, width, channels = prediction.shape[-3:]
    check_frames(network, prediction.shape)
    pairs = jnp.stack([prediction, target]).reshape(2, -1, height, width, channels)
    pairs = jnp.moveaxis(pairs, 0, 1)
    count = len(pairs)
    if count == 0:
        return jnp.zeros(prediction.shape[:-3])
    # Chunks of equal size, so that one program serves all.
    chunks = -(-count * height * width // CHUNK_PIXELS)
    size = -(-count // chunks)
    pairs = jnp.pad(pairs, ((0, chunks * size - count), *[(0, 0)] * 4))
    distances = jax.lax.map(
        partial(_distances, network, params), pairs.reshape(chunks, size, *pairs.shape[1:])
    )
    return distances.reshape(-1)[:count].reshape(prediction.shape[:-3])


def check_frames(network: Network, shape: tuple[int, ...]) -> None:
    """Raises ValueError for frames (..., H, W, C) that a network cannot take."""
    height, width, channels = shape[-3:]
    if channels not in (1, 3):
        raise ValueError(
            f"frames have {channels} channels; {network.name} takes 1 (grey) or 3 (RGB)"
        )
    if min(height, width) < network.smallest:
        raise ValueError(
            f"frames are {height}x{width}; {network.name} needs at least "
            f"{network.smallest}x{network.smallest} pixels"
        )


def activations(
    network: Network, params: Params, images: Float[Array, "N H W C"]
) -> list[Float[Array, "N h w c"]]:
    """The activations of the five layers for images in [0, 1], grey (C = 1) or RGB (C = 3)."""
    rgb = jnp.broadcast_to(images, (*images.shape[:-1], 3))
    shift, scale = (jnp.asarray(a).reshape(1, 1, 1, 3) for a in (_SHIFT, _SCALE))
    return network.activations(params, (2 * rgb - 1 - shift) / scale)


def _distances(network: Network, params: Params, pairs: Array) -> Array:
    """(N, 2, H, W, C) in [0, 1] -> (N,)."""
    count = len(pairs)
    total = jnp.zeros(count)
    images = pairs.reshape(-1, *pairs.shape[2:])
    for layer, features in enumerate(activations(network, params, images)):
        # Feature vectors get unit length; 1e-20 keeps a zero vector differentiable.
        unit = features / jnp.sqrt((features**2).sum(-1, keepdims=True) + 1e-20)
        unit = unit.reshape(count, 2, *unit.shape[1:])
        total += ((unit[:, 0] - unit[:, 1]) ** 2).mean((1, 2)) @ params[f"weight{layer}"]
    return total
