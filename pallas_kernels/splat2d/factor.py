"""The triangular factor by which the GPU kernels know a Gaussian, and its gradients.

A Gaussian is exp2(-(u^2 + v^2)) with u = a dx + b dy and v = c dy, where dx and dy are a pixel's
offsets from the mean. The factor (a, b, c) is the triangular M in Sigma^-1 = M^T M, times
sqrt(log2(e) / 2). A sum of squares cannot round to a negative exponent, as the expanded conic does
for thin Gaussians, and v is shared by a row of pixels: a pixel costs an addition, a multiply-add
and an exp2.
"""

from math import e, log, log2, sqrt

import jax
import jax.numpy as jnp

UNIT = sqrt(log2(e) / 2)
"""exp(-x^2 / 2) = exp2(-(UNIT x)^2)."""

MOMENTS = 6
"""How many sums over its pixels a Gaussian's gradients are made of: see `gradients`."""


def factor_of(scale: jax.Array, rotation: jax.Array) -> jax.Array:
    """The factor (..., 3) of positive scales (..., 2) in pixels and rotations (...) in radians."""
    cos, sin, p, q = _axes(scale, rotation)
    a = jnp.sqrt((cos * p) ** 2 + (sin * q) ** 2)
    b = cos * sin * (p - q) * (p + q) / a
    return jnp.stack([a, b, p * q / a], -1) * UNIT


def gradients(
    scale: jax.Array, rotation: jax.Array, moments: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The gradients of a Gaussian's geometry, from sums over its pixels.

    With h the Gaussian's value times the gradient by that value, `moments` are the sums of
    h u, h u dx, h u dy, h dy, h dx dy and h dy^2.

    In exact arithmetic the sum of h dx dy follows from the others: a dx = u - b dy. It is summed by
    itself because a thin, nearly level Gaussian has |b| >> a, and dx is lost in the rounding of u.

    Args:
        scale: (..., 2), as in `factor_of`.
        rotation: (...), as in `factor_of`.
        moments: (..., MOMENTS).

    Returns:
        The gradients by mean (..., 2), scale (..., 2) and rotation (...).
    """
    cos, sin, p, q = _axes(scale, rotation)
    a, b, c = jnp.moveaxis(factor_of(scale, rotation), -1, 0)
    hu, hux, huy, hy, hxy, hyy = jnp.moveaxis(moments, -1, 0)
    d_mean = jnp.stack([a * hu, b * hu + c * c * hy], -1)
    d_rotation = b * hux - a * huy + c * c * hxy
    # Along the Gaussian's own axes an offset is x' = cos dx + sin dy and y' = cos dy - sin dx. The
    # scaled offsets UNIT p x' and UNIT q y' are (u, v), turned by an angle of this cosine and sine.
    turn_cos, turn_sin = UNIT * cos * p / a, UNIT * sin * q / a
    by_p = turn_cos * (cos * hux + sin * huy) + turn_sin * c * (cos * hxy + sin * hyy)
    by_q = turn_cos * c * (cos * hyy - sin * hxy) - turn_sin * (cos * huy - sin * hux)
    d_scale = UNIT * jnp.stack([p * p * by_p, q * q * by_q], -1)
    ln4 = 2 * log(2)  # exp2(-x^2) has the derivative -ln4 x exp2(-x^2)
    return ln4 * d_mean, ln4 * d_scale, ln4 * d_rotation


def _axes(scale, rotation):
    """Cosine and sine of the rotation, and the inverses p and q of the two scales."""
    return jnp.cos(rotation), jnp.sin(rotation), 1 / scale[..., 0], 1 / scale[..., 1]
