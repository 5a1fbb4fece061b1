"""Which windows hold nothing that is missing."""

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool

from pallas_kernels.ssim.measure import Padding, Weights


def whole_windows(
    valid: Bool[Array, "*B H W C"], windows: tuple[Weights, Weights], padding: Padding = "valid"
) -> Bool[Array, "*B Y X C"]:
    """Which windows of `ssim_map` see valid pixels only; what lies outside the frame is valid.

    Args:
        valid: (..., H, W, C).
        windows: as in `ssim`.
        padding: as in `ssim`.

    Returns:
        (..., Y, X, C).
    """
    *batch, height, width, channels = valid.shape
    bad = (~valid).astype(jnp.float32).reshape(-1, height, width, channels)
    for axis, weights in enumerate(windows, start=1):  # one axis after the other costs less
        size = [1, 1, 1, 1]
        size[axis] = len(weights)
        bad = jax.lax.reduce_window(bad, 0.0, jax.lax.max, size, (1,) * 4, padding.upper())
    return (bad == 0).reshape(*batch, *bad.shape[1:])
