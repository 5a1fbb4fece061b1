"""Block matching: how fast each pixel moves, from two frames."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

MOST = 20.0
"""The largest mismatch. Frames with motion between them stay below; a picture and a blank frame,
which have nothing in common, would reach a million."""


def displacements(radius: int) -> np.ndarray:
    """All integer displacements (x, y) within a radius on both axes, (D, 2) float32."""
    steps = np.arange(-radius, radius + 1, dtype=np.float32)
    return np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)


def mismatch(
    now: Float[Array, "M H W C"], before: Float[Array, "M H W C"], *, radius: int, patch: int
) -> Float[Array, "M H W D"]:
    """How badly each displacement explains each pixel of a frame by the frame before.

    Args:
      now: the frames.
      before: the frames before them; beyond the border their outermost pixels go on.
      radius: of the search, in pixels.
      patch: width of the compared blocks in pixels, odd.

    Returns:
      For each of the `displacements` d, the mean of (now[p] - before[p - d])^2 over the block, in
      units of the block's variance plus 5 % of the frame's; at most `MOST`.
    """
    height, width = now.shape[1:3]
    edge = ((0, 0), (radius, radius), (radius, radius), (0, 0))
    padded = jnp.pad(before, edge, mode="edge")
    steps = displacements(radius).astype(int)
    rows = radius - steps[:, 1:] + np.arange(height)[None]  # (D, H)
    columns = radius - steps[:, :1] + np.arange(width)[None]
    moved = padded[:, rows[:, :, None], columns[:, None, :]]  # (M, D, H, W, C)
    squares = jnp.moveaxis(jnp.mean(jnp.square(now[:, None] - moved), axis=-1), 1, -1)
    centred = now - now.mean((1, 2), keepdims=True)
    first = block_mean(centred, patch)
    variance = block_mean(jnp.square(centred), patch) - jnp.square(first)
    variance = jnp.maximum(variance, 0).mean(-1, keepdims=True)
    whole = jnp.square(centred).mean((1, 2, 3), keepdims=True)
    return jnp.minimum(block_mean(squares, patch) / (variance + 0.05 * whole + 1e-6), MOST)


def block_mean(x: Float[Array, "M H W C"], size: int) -> Float[Array, "M H W C"]:
    """The mean over `size` x `size` pixels around each; beyond the border its pixels go on."""
    half = size // 2
    padded = jnp.pad(x, ((0, 0), (half, half), (half, half), (0, 0)), mode="edge")
    for window in ((1, size, 1, 1), (1, 1, size, 1)):
        zero = jnp.zeros((), x.dtype)
        padded = jax.lax.reduce_window(padded, zero, jax.lax.add, window, (1, 1, 1, 1), "VALID")
    return padded / size**2


def expected_velocity(
    cost: Float[Array, "M H W D"],
    sharpness: Float[Array, ""],
    slowness: Float[Array, ""],
    radius: int,
) -> Float[Array, "M H W 2"]:
    """The soft argmin of `mismatch`: x and y in pixels a frame.

    Args:
      cost: of each displacement.
      sharpness: how much a mismatch of 1 counts against a displacement.
      slowness: how much a square pixel of displacement counts against it.
      radius: of the search.
    """
    steps = jnp.asarray(displacements(radius))
    prior = slowness * jnp.square(steps).sum(-1)
    likely = jax.nn.softmax(-sharpness * cost - prior.reshape(1, 1, 1, -1))
    return jnp.einsum("mhwd,dx->mhwx", likely, steps)
