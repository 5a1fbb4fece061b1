"""The definition of `splat2d`, dense and in plain jnp. Read this first.

Every Gaussian is evaluated at every pixel, so an N x H x W array is held: use it to check the
other implementations, not to train.
"""

import jax
import jax.numpy as jnp

MIN_SCALE = 1e-3
"""Smallest standard deviation drawn, in pixels. Below it a scale is drawn as MIN_SCALE and gets no
gradient, so that a scale which reaches zero (or is negative) neither divides by it nor explodes."""

MAX_MEAN = 2.0**24
"""Means are clipped to +-MAX_MEAN pixels, where float32 stops resolving pixels."""


def whitening(scale: jax.Array, rotation: jax.Array) -> jax.Array:
    """Returns M (..., 2, 2) with Sigma^-1 = M^T M, where Sigma = R diag(scale^2) R^T.

    Args:
        scale: (..., 2), standard deviations in pixels along the Gaussian's own axes.
        rotation: (...), radians; R = [[cos, -sin], [sin, cos]] in (x right, y down).

    Returns:
        diag(1 / scale) R^T. The squared length of M (p - mean) is the Mahalanobis distance: unlike
        the expanded conic it cannot round to a negative number for thin Gaussians.
    """
    cos, sin = jnp.cos(rotation), jnp.sin(rotation)
    axes = jnp.stack([jnp.stack([cos, sin], -1), jnp.stack([-sin, cos], -1)], -2)  # R^T
    return axes / jnp.maximum(scale, MIN_SCALE)[..., None]


def gaussian(whiten: jax.Array, offset: jax.Array, half: float | None) -> jax.Array:
    """exp(-|M d|^2 / 2) for offsets d (..., 2), zero where |d| > half on either axis."""
    u = (whiten * offset[..., None, :]).sum(-1)
    value = jnp.exp(-0.5 * (u * u).sum(-1))
    if half is None:
        return value
    # "not greater" rather than "at most": a NaN mean shows up in the frame instead of vanishing.
    return jnp.where((jnp.abs(offset) > half).any(-1), 0.0, value)


def splat(mean, scale, rotation, amplitude, *, height, width, window, sampling, dtype):
    """Sums the Gaussians of every frame: see `splat2d` for the arguments.

    "exact" evaluates each Gaussian at the pixel centres. "bilinear" evaluates it on the lattice of
    integer offsets from its mean, window x window points, and places that patch at the mean by
    bilinear interpolation, which is what affine_grid + grid_sample do in the published baseline.

    Returns:
        (..., height, width, C) in `dtype`.
    """
    y, x = jnp.arange(height, dtype=mean.dtype), jnp.arange(width, dtype=mean.dtype)
    pixels = jnp.stack(jnp.meshgrid(x, y), -1)  # (H, W, 2), each (x, y)
    pixels = pixels.reshape((1,) * (mean.ndim - 1) + pixels.shape)
    mean = jnp.clip(mean, -MAX_MEAN, MAX_MEAN)[..., None, None, :]  # (..., N, 1, 1, 2)
    whiten = whitening(scale, rotation)[..., None, None, :, :]

    if sampling == "exact":
        weight = gaussian(whiten, pixels - mean, window and window / 2)
    else:
        corner = jax.lax.stop_gradient(jnp.floor(mean))
        fraction = mean - corner
        weight = jnp.zeros((), mean.dtype)
        for step_y in (0, 1):
            for step_x in (0, 1):
                lattice = (
                    pixels
                    - corner
                    - jnp.array([step_x, step_y], mean.dtype).reshape(
                        (1,) * (pixels.ndim - 1) + (2,)
                    )
                )
                blend_x = fraction[..., 0] if step_x else 1 - fraction[..., 0]
                blend_y = fraction[..., 1] if step_y else 1 - fraction[..., 1]
                weight += blend_x * blend_y * gaussian(whiten, lattice, window / 2)
    out = jnp.einsum("...nhw,...nc->...hwc", weight, amplitude, precision="highest")
    return out.astype(dtype)
