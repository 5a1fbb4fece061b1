"""Block matching: how fast each pixel moves, from two frames."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float


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
      units of the block's variance plus 5 % of the frame's.
    """
    height, width = now.shape[1:3]
    edge = ((0, 0), (radius, radius), (radius, radius), (0, 0))
    padded = jnp.pad(before, edge, mode="edge")
    squares = []
    for x, y in displacements(radius).astype(int):
        top, left = radius - y, radius - x
        moved = padded[:, top : top + height, left : left + width]
        squares.append(jnp.mean(jnp.square(now - moved), axis=-1))
    centred = now - now.mean((1, 2), keepdims=True)
    first = block_mean(centred, patch)
    variance = block_mean(jnp.square(centred), patch) - jnp.square(first)
    variance = jnp.maximum(variance, 0).mean(-1, keepdims=True)
    whole = jnp.square(centred).mean((1, 2, 3), keepdims=True)
    return block_mean(jnp.stack(squares, axis=-1), patch) / (variance + 0.05 * whole + 1e-6)


def block_mean(x: Float[Array, "M H W C"], size: int) -> Float[Array, "M H W C"]:
    """The mean over `size` x `size` pixels around each; beyond the border its pixels go on."""
    for axis in (1, 2):
        widths = [(0, 0)] * 4
        widths[axis] = (size // 2, size // 2)
        padded = jnp.pad(x, widths, mode="edge")
        slices = [
            jax.lax.slice_in_dim(padded, i, i + x.shape[axis], axis=axis) for i in range(size)
        ]
        x = sum(slices[1:], start=slices[0]) / size
    return x


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
