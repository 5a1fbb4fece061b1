"""The definition of `splat2d`, dense and in plain jnp. Read this first.

Every Gaussian is evaluated at every pixel, which takes an N x H x W array: this checks the other
implementations and is not meant for training.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

MIN_SCALE = 1e-3
"""The smallest standard deviation drawn, in pixels. Smaller scales are drawn as MIN_SCALE and have
no gradient: so zero does not divide, and negative scales do no harm."""

MAX_MEAN = 2.0**24
"""Means are clipped to +-MAX_MEAN pixels, where float32 stops resolving pixels."""


def whitening(scale: Float[Array, "*B 2"], rotation: Float[Array, "*B"]) -> Float[Array, "*B 2 2"]:
    """The M (..., 2, 2) with Sigma^-1 = M^T M, where Sigma = R diag(scale^2) R^T.

    Args:
        scale: (..., 2), standard deviations in pixels along the Gaussian's own axes.
        rotation: (...), radians; R = [[cos, -sin], [sin, cos]] in (x right, y down).

    Returns:
        M = diag(1 / scale) R^T. The exponent is then -|M (p - mean)|^2 / 2, which cannot round to
        a positive number, as the expanded quadratic form can for thin Gaussians.
    """
    cos, sin = jnp.cos(rotation), jnp.sin(rotation)
    axes = jnp.stack([jnp.stack([cos, sin], -1), jnp.stack([-sin, cos], -1)], -2)  # R^T
    return axes / jnp.maximum(scale, MIN_SCALE)[..., None]


def gaussian(
    whiten: Float[Array, "*#B 2 2"], offset: Float[Array, "*#B 2"], half: float | None
) -> Float[Array, "*B"]:
    """exp(-|M d|^2 / 2) for offsets d (..., 2), zero where |d| > half on either axis."""
    u = (whiten * offset[..., None, :]).sum(-1)
    value = jnp.exp(-0.5 * (u * u).sum(-1))
    if half is None:
        return value
    # Not `<=`: where the mean is NaN, the comparison is false and the NaN must reach the frame.
    return jnp.where((jnp.abs(offset) > half).any(-1), 0.0, value)


def values(
    mean: Float[Array, "*B N 2"],
    scale: Float[Array, "*B N 2"],
    rotation: Float[Array, "*B N"],
    *,
    height: int,
    width: int,
    window: int | None,
    sampling: str,
) -> Float[Array, "*B N {height} {width}"]:
    """Every Gaussian, of amplitude 1, at every pixel: see `splat2d` for the arguments.

    "exact" evaluates each Gaussian at the pixel centres. "bilinear" evaluates it at the integer
    offsets from its mean, a patch of window x window points, and places that patch at the mean by
    bilinear interpolation: what affine_grid and grid_sample do in the published baseline.
    """
    y, x = jnp.arange(height, dtype=mean.dtype), jnp.arange(width, dtype=mean.dtype)
    pixels = jnp.stack(jnp.meshgrid(x, y), -1)  # (H, W, 2), each (x, y)
    pixels = pixels.reshape((1,) * (mean.ndim - 1) + pixels.shape)
    mean = jnp.clip(mean, -MAX_MEAN, MAX_MEAN)[..., None, None, :]  # (..., N, 1, 1, 2)
    whiten = whitening(scale, rotation)[..., None, None, :, :]
    half = window and window / 2
    if sampling == "exact":
        return gaussian(whiten, pixels - mean, half)

    corner = jax.lax.stop_gradient(jnp.floor(mean))
    fraction = mean - corner
    value = jnp.zeros((), mean.dtype)
    for step_y in (0, 1):
        for step_x in (0, 1):
            step = jnp.array([step_x, step_y], mean.dtype)
            lattice = pixels - corner - step.reshape((1,) * (pixels.ndim - 1) + (2,))
            blend_x = fraction[..., 0] if step_x else 1 - fraction[..., 0]
            blend_y = fraction[..., 1] if step_y else 1 - fraction[..., 1]
            value += blend_x * blend_y * gaussian(whiten, lattice, half)
    return value


def splat(
    mean: Float[Array, "*B N 2"],
    scale: Float[Array, "*B N 2"],
    rotation: Float[Array, "*B N"],
    amplitude: Float[Array, "*B N C"],
    *,
    dtype: Any,
    **options: Any,
) -> Float[Array, "*B H W C"]:
    """Sums the Gaussians of every frame, of `values` with `options`, in `dtype`: see `splat2d`."""
    value = values(mean, scale, rotation, **options)
    out = jnp.einsum("...nhw,...nc->...hwc", value, amplitude, precision="highest")
    return out.astype(dtype)


def normalized(
    mean: Float[Array, "*B N 2"],
    scale: Float[Array, "*B N 2"],
    rotation: Float[Array, "*B N"],
    amplitude: Float[Array, "*B N C"],
    weight: Float[Array, "*B N"],
    *,
    full: float,
    softness: float,
    **options: Any,
) -> tuple[Float[Array, "*B H W C"], Float[Array, "*B H W 1"]]:
    """The frame and the coverage that `splat2d_normalized` draws, from `values` with `options`."""
    part = weight[..., None, None] * values(mean, scale, rotation, **options)
    total = part.sum(-3)[..., None]
    drawn = jnp.einsum("...nhw,...nc->...hwc", part, amplitude, precision="highest")
    return (1 + softness) * drawn / (total + softness * full), total / full
