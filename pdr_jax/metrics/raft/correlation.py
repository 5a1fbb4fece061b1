"""How alike each place of one frame and each of another are, and the part of it around a flow."""

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

LEVELS = 4


def correlation_pyramid(
    first: Float[Array, "N h w C"], second: Float[Array, "N h w C"]
) -> list[Array]:
    """Inner products of all pairs of features, over sqrt(C), and their means over 2x2, 4x4, 8x8.

    Returns:
      `LEVELS` arrays (N * h * w, h / 2^level, w / 2^level), sizes rounded down. Needs h, w >= 8.
    """
    batch, height, width, channels = first.shape
    level = jnp.einsum("nijc,nklc->nijkl", first, second) / jnp.sqrt(jnp.float32(channels))
    level = level.reshape(batch * height * width, height, width)
    levels = [level]
    for _ in range(LEVELS - 1):
        places, height, width = (side // k for side, k in zip(level.shape, (1, 2, 2), strict=True))
        blocks = level[:, : 2 * height, : 2 * width].reshape(places, height, 2, width, 2)
        level = blocks.mean((2, 4))
        levels.append(level)
    return levels


def look_up(
    levels: list[Array], positions: Float[Array, "N h w 2"], radius: int
) -> Float[Array, "N h w channels"]:
    """Each place's correlations in a window around a position, at every level.

    Between pixels they are interpolated bilinearly, and outside the frame they are 0, as PyTorch's
    grid_sample with align_corners=True and padding_mode="zeros".

    Args:
      levels: of `correlation_pyramid`.
      positions: x and y in the second frame, in pixels of the finest level.
      radius: of the window, in pixels of each level.

    Returns:
      LEVELS * (2 * radius + 1)^2 channels: levels outermost, x next, y innermost.
    """
    flat = positions.reshape(-1, 2)
    windows = [_window(level, flat / 2**k, radius) for k, level in enumerate(levels)]
    return jnp.concatenate(windows, -1).reshape(*positions.shape[:3], -1)


def _window(level: Array, positions: Array, radius: int) -> Array:
    """(M, h, w) and (M, 2) -> (M, (2 * radius + 1)^2).

    All samples of a window lie equally between their four pixels, so that each pixel is read once.
    """
    places, height, width = level.shape
    before = jnp.floor(positions)
    x_share, y_share = jnp.split((positions - before)[:, :, None], 2, axis=1)
    # 2^30 is outside every frame, and no integer overflows there.
    before = jnp.clip(before, -(2.0**30), 2.0**30).astype(jnp.int32)
    offsets = jnp.arange(-radius, radius + 2)[None]
    columns, rows = before[:, :1] + offsets, before[:, 1:] + offsets
    column_inside, row_inside = (columns >= 0) & (columns < width), (rows >= 0) & (rows < height)
    index = rows[:, None, :] * width + columns[:, :, None]
    inside = column_inside[:, :, None] & row_inside[:, None, :]
    side = 2 * radius + 2
    found = jnp.take_along_axis(
        level.reshape(places, -1), index.reshape(places, -1), axis=1, mode="clip"
    )
    window = jnp.where(inside, found.reshape(places, side, side), 0.0)
    window = window[:, :-1] * (1 - x_share) + window[:, 1:] * x_share
    window = window[:, :, :-1] * (1 - y_share) + window[:, :, 1:] * y_share
    return window.reshape(places, -1)
