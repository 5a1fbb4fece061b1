"""A flow at an eighth of the size -> the flow of every pixel, eight times as long."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

MASK = 9 * 8 * 8
"""Channels of the mask of `convex`."""


def convex(
    flow: Float[Array, "N h w 2"], mask: Float[Array, "N h w mask"]
) -> Float[Array, "N 8*h 8*w 2"]:
    """Each pixel's flow is a convex combination of those of the 3x3 nearest places.

    Args:
      flow: 0 beyond its border.
      mask: logits of the weights: the 3x3 places outermost, then rows and columns of 8x8 pixels.
    """
    batch, height, width, _ = flow.shape
    weights = jax.nn.softmax(mask.reshape(batch, height, width, 9, 8, 8), axis=3)
    padded = jnp.pad(8 * flow, ((0, 0), (1, 1), (1, 1), (0, 0)))
    near = jnp.stack(
        [padded[:, y : y + height, x : x + width] for y in range(3) for x in range(3)], axis=3
    )
    fine = jnp.einsum("nhwkij,nhwkc->nhiwjc", weights, near)
    return fine.reshape(batch, 8 * height, 8 * width, 2)


def bilinear(flow: Float[Array, "N h w 2"]) -> Float[Array, "N 8*h 8*w 2"]:
    """Interpolates between places; the outermost lie on the outermost pixels (align_corners)."""
    rows, columns = (jnp.asarray(_between(side)) for side in flow.shape[1:3])
    return 8 * jnp.einsum("ih,jw,nhwc->nijc", rows, columns, flow)


def _between(side: int) -> Float[np.ndarray, "fine coarse"]:
    """Weights of `side` places at 8 * side pixels."""
    positions = np.linspace(0, side - 1, 8 * side)
    weights = 1 - np.abs(positions[:, None] - np.arange(side))
    return np.maximum(0, weights).astype(np.float32)
