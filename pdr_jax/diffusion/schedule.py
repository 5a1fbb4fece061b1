"""The cosine schedule: signal and noise at a diffusion time, and what a network predicts of both.

A scaled residual x and noise eps ~ N(0, 1) are mixed at a time from 0 (x alone) to 1 (noise alone):

    z = alpha x + sigma eps,    alpha = cos(angle), sigma = sin(angle)

The angle grows linearly with time (Nichol and Dhariwal, arXiv 2102.09672, in continuous time), so
that alpha^2 + sigma^2 = 1. A network sees z and predicts eps, or the velocity

    v = alpha eps - sigma x

(Salimans and Ho, arXiv 2202.00512), which is as well defined at time 1, where z says nothing of x,
as at time 0. All functions take arrays that broadcast, of any float dtype.
"""

import math

import jax.numpy as jnp
from jax import Array

MARGIN = 0.008
"""Share of the quarter circle that is left out at both ends, where alpha or sigma is near 0."""


def angle(time: Array) -> Array:
    """The angle in radians at times in [0, 1]."""
    return (MARGIN + (1 - 2 * MARGIN) * time) * (math.pi / 2)


def diffused(x: Array, noise: Array, angle: Array) -> Array:
    """z, the mixture of x and noise."""
    return jnp.cos(angle) * x + jnp.sin(angle) * noise


def goal(predicts: str, x: Array, noise: Array, angle: Array) -> Array:
    """What a network that predicts "v" or "eps" should return for `diffused(x, noise, angle)`."""
    return noise if predicts == "eps" else jnp.cos(angle) * noise - jnp.sin(angle) * x


def denoised(predicts: str, z: Array, output: Array, angle: Array) -> Array:
    """The x that a network's output stands for."""
    alpha, sigma = jnp.cos(angle), jnp.sin(angle)
    return (z - sigma * output) / alpha if predicts == "eps" else alpha * z - sigma * output


def noise_in(z: Array, x: Array, angle: Array) -> Array:
    """The noise that makes z of x; the angle is not 0."""
    return (z - jnp.cos(angle) * x) / jnp.sin(angle)
