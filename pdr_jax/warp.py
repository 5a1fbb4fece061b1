"""Warping of frames by a flow.

Not by `jax.scipy.ndimage.map_coordinates`, which gives the same values but takes longer for the
gradient on CPUs.
"""

import jax.numpy as jnp
from jax import Array, lax


def warp(x: Array, flow: Array) -> Array:
    """Moves pixels: out[row, column] = x[row + dy, column + dx], interpolated bilinearly.

    Positions outside the frame are clamped to its border, where the flow then has no gradient. As
    PyTorch's grid_sample with align_corners=True and padding_mode="border". Positions are computed
    in float32 (or wider): bfloat16 does not tell column 256 from 257.

    Args:
      x: (N, H, W, C).
      flow: (N, H, W, 2), dx and dy in pixels.

    Returns:
      (N, H, W, C) in the dtype of `x`.
    """
    batch, height, width, channels = x.shape
    flow = flow.astype(jnp.promote_types(flow.dtype, jnp.float32))
    columns = jnp.arange(width, dtype=flow.dtype).reshape(1, 1, width) + flow[..., 0]
    rows = jnp.arange(height, dtype=flow.dtype).reshape(1, height, 1) + flow[..., 1]
    top, bottom, down = _neighbours(rows, height)
    left, right, across = _neighbours(columns, width)
    pixels = x.reshape(batch, height * width, channels)

    def at(row: Array, column: Array) -> Array:
        index = (row * width + column).reshape(batch, -1, 1)
        return jnp.take_along_axis(pixels, index, axis=1, mode="clip").reshape(x.shape)

    def between(first: Array, second: Array, share: Array) -> Array:
        share = share[..., None].astype(x.dtype)
        return first * (1 - share) + second * share

    upper = between(at(top, left), at(top, right), across)
    lower = between(at(bottom, left), at(bottom, right), across)
    return between(upper, lower, down)


def _neighbours(position: Array, size: int) -> tuple[Array, Array, Array]:
    """The pixels before and after a position along an axis, and how far it is between them."""
    position = lax.clamp(jnp.zeros_like(position), position, jnp.full_like(position, size - 1))
    before = jnp.floor(position)
    index = before.astype(jnp.int32)
    return index, jnp.minimum(index + 1, size - 1), position - before
