"""The portable implementation: plain JAX, in the form that suits the platform.

CPUs draw patches one by one (scan.py), or many small ones by a scatter (scatter.py). Accelerators
would launch kernels for every Gaussian then, and get a form without a loop over Gaussians
(tiles.py). Which one is decided when a program is lowered for a platform.
"""

from collections.abc import Callable
from functools import partial
from math import sqrt

import jax
import jax.numpy as jnp

from pallas_kernels.batching import differentiable
from pallas_kernels.splat2d import scan, scatter, tiles
from pallas_kernels.splat2d.patch import Geometry
from pallas_kernels.splat2d.reference import MAX_MEAN, MIN_SCALE


def splat_with(forward: Callable, moments: Callable) -> Callable:
    """Makes an implementation of `splat2d` from a form's two functions.

    Args:
        forward: (geometry, mean (F, 2, N), whiten (F, 2, 2, N), amplitude (F, C, N)) -> frames
            (F, H, W, C).
        moments: (geometry, mean, whiten, amplitude, cotangent of the frames) -> the gradient by
            amplitude (F, C, N), and the moments (F, 5, N) of h = sum_c amplitude_c cotangent_c x
            value: the sums of h x, h y, h x^2, h x y and h y^2, with x and y relative to the mean.
            In bilinear mode x and y are relative to the lattice's centre, and two more are the
            gradients by the mean's x and y.
    """

    def pull(geometry, mean, whiten, amplitude, cotangent):
        d_amplitude, sums = moments(geometry, mean, whiten, amplitude, cotangent)
        x, y, xx, xy, yy, *slopes = jnp.moveaxis(sums, 1, 0)
        second = jnp.stack([jnp.stack([xx, xy], 1), jnp.stack([xy, yy], 1)], 1)
        d_whiten = -2 * _matmul(whiten, second)
        if geometry.sampling == "bilinear":
            d_mean = jnp.stack(slopes, 1)
        else:
            first = jnp.stack([x, y], 1)[:, :, None]
            d_mean = 2 * _matmul(whiten.swapaxes(1, 2), _matmul(whiten, first))[:, :, 0]
        return d_mean, d_whiten, d_amplitude

    render = differentiable(forward, pull)

    def splat(mean, scale, rotation, amplitude, *, height, width, window, sampling, dtype):
        """Sums the Gaussians of every frame, (F, N, ...) -> (F, H, W, C): see `splat2d`."""
        draw = render(Geometry(height, width, window, sampling))
        mean = jnp.clip(mean, -MAX_MEAN, MAX_MEAN)
        return draw(mean.mT, _whitening(scale.mT, rotation), amplitude.mT).astype(dtype)

    return splat


def _by_platform(name):
    """A function of that name: of scan.py or scatter.py on CPUs, of tiles.py elsewhere."""

    def call(geometry, *arrays):
        forms = scatter if geometry.small else scan, tiles
        cpu, default = (partial(getattr(form, name), geometry) for form in forms)
        return jax.lax.platform_dependent(*arrays, cpu=cpu, default=default)

    return call


def _whitening(scale, rotation):
    """`reference.whitening` times sqrt(1/2), Gaussians last: (F, 2, N), (F, N) -> (F, 2, 2, N).

    The square root of the 1/2 in exp(-|M d|^2 / 2) saves a multiplication a pixel; loops over the
    last axis vectorise.
    """
    cos, sin = jnp.cos(rotation), jnp.sin(rotation)
    first, second = jnp.moveaxis(sqrt(0.5) / jnp.maximum(scale, MIN_SCALE), 1, 0)
    rows = [cos * first, sin * first], [-sin * second, cos * second]
    return jnp.stack([jnp.stack(row, 1) for row in rows], 1)


def _matmul(a, b):
    """(F, i, 2, N), (F, 2, j, N) -> (F, i, j, N). A matrix unit would round float32."""
    return a[:, :, :1] * b[:, :1] + a[:, :, 1:] * b[:, 1:]


splat = splat_with(_by_platform("forward"), _by_platform("moments"))
