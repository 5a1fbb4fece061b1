"""The portable implementation: one window at a time, never an N x H x W array.

Each frame is a padded canvas into which the Gaussians of that frame add their windows one after
the other. The backward pass reads the same windows of the cotangent, so neither direction holds
more than its inputs, its outputs and one window.
"""

from functools import cache, partial

import jax
import jax.numpy as jnp

from pallas_kernels.splat2d.frames import independent_frames
from pallas_kernels.splat2d.reference import MAX_MEAN, gaussian, whitening


def splat(mean, scale, rotation, amplitude, *, height, width, window, sampling):
    """Sums the Gaussians of every frame, (F, N, ...) -> (F, H, W, C): see `splat2d`."""
    mean = jnp.clip(mean, -MAX_MEAN, MAX_MEAN)
    render = _differentiable(height, width, window, sampling)
    return render(mean, whitening(scale, rotation), amplitude)


@cache
def _differentiable(height, width, window, sampling):
    geometry = dict(height=height, width=width, window=window, sampling=sampling)
    forward = independent_frames(partial(_forward, **geometry))
    backward = independent_frames(partial(_backward, **geometry))
    render = jax.custom_vjp(forward)
    render.defvjp(lambda *args: (forward(*args), args), lambda args, ct: backward(*args, ct))
    return render


def _origin(mean, *, height, width, window, sampling):
    """First row and column of the patch of a Gaussian, and its height and width."""
    if window is None:
        return (jnp.int32(0), jnp.int32(0)), (height, width)
    size = window + 1
    first = jnp.ceil(mean - window / 2) if sampling == "exact" else jnp.floor(mean) - window // 2
    row = jnp.clip(first[1], -size, height).astype(jnp.int32)
    column = jnp.clip(first[0], -size, width).astype(jnp.int32)
    return (row, column), (size, size)


def _patch(mean, whiten, first, shape, *, window, sampling):
    """Values of one Gaussian of amplitude 1 on its patch."""
    y = first[0] + jnp.arange(shape[0], dtype=jnp.int32)
    x = first[1] + jnp.arange(shape[1], dtype=jnp.int32)
    pixels = jnp.stack(jnp.meshgrid(x, y), -1).astype(mean.dtype)
    if sampling == "exact":
        return gaussian(whiten[None, None], pixels - mean[None, None], window and window / 2)
    corner = jax.lax.stop_gradient(jnp.floor(mean))
    fx, fy = mean - corner
    lattice = gaussian(whiten[None, None], pixels - corner[None, None], window / 2)
    lattice = (1 - fx) * lattice + fx * jnp.pad(lattice, ((0, 0), (1, 0)))[:, :-1]
    return (1 - fy) * lattice + fy * jnp.pad(lattice, ((1, 0), (0, 0)))[:-1]


def _margins(height, width, window):
    return (0, height, width) if window is None else (window + 1,) + (height, width)


def _forward(mean, whiten, amplitude, *, height, width, window, sampling):
    pad, _, _ = _margins(height, width, window)
    channels = amplitude.shape[-1]

    def frame(args):
        def add(canvas, gaussian_):
            mean, whiten, amplitude = gaussian_
            first, shape = _origin(
                mean, height=height, width=width, window=window, sampling=sampling
            )
            patch = _patch(mean, whiten, first, shape, window=window, sampling=sampling)
            at = (jnp.int32(0), first[0] + pad, first[1] + pad)
            old = jax.lax.dynamic_slice(canvas, at, (channels, *shape))
            new = old + amplitude[:, None, None] * patch[None]
            return jax.lax.dynamic_update_slice(canvas, new, at), None

        canvas = jnp.zeros((channels, height + 2 * pad, width + 2 * pad), amplitude.dtype)
        canvas, _ = jax.lax.scan(add, canvas, args)
        return canvas[:, pad : pad + height, pad : pad + width].transpose(1, 2, 0)

    return jax.lax.map(frame, (mean, whiten, amplitude))


def _backward(mean, whiten, amplitude, cotangent, *, height, width, window, sampling):
    pad, _, _ = _margins(height, width, window)
    channels = amplitude.shape[-1]

    def frame(args):
        *gaussians, cotangent = args
        cotangent = jnp.pad(cotangent.transpose(2, 0, 1), ((0, 0), (pad, pad), (pad, pad)))

        def read(_, gaussian_):
            mean, whiten, amplitude = gaussian_
            first, shape = _origin(
                mean, height=height, width=width, window=window, sampling=sampling
            )
            at = (jnp.int32(0), first[0] + pad, first[1] + pad)
            ct = jax.lax.dynamic_slice(cotangent, at, (channels, *shape))

            def value(mean, whiten, amplitude):
                patch = _patch(mean, whiten, first, shape, window=window, sampling=sampling)
                return (amplitude * (ct * patch[None]).sum((1, 2))).sum()

            return None, jax.grad(value, argnums=(0, 1, 2))(mean, whiten, amplitude)

        return jax.lax.scan(read, None, tuple(gaussians))[1]

    return jax.lax.map(frame, (mean, whiten, amplitude, cotangent))
