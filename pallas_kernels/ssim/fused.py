"""What implementations in fused GPU kernels share: their geometry, and the VJP around them."""

from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from pallas_kernels import gpu
from pallas_kernels.batching import independent_frames
from pallas_kernels.ssim.measure import Measure

LARGEST = 17
"""The longest window: a thread's registers hold four sums for each of its rows."""

LATTICE = 4
"""Variances are taken about the mean of LATTICE x LATTICE pixels of a frame."""

ENOUGH = 2048
"""Warps that keep a GPU busy: strips of columns that are fewer are cut into pieces."""

SHORTEST = 16
"""The fewest rows of such a piece: the rows of a window above each piece are read twice."""


class Geometry(NamedTuple):
    """What a kernel is compiled for, beside the shapes and dtypes of its arrays."""

    measure: Measure
    height: int
    width: int
    channels: int
    interpret: bool
    """Whether Pallas runs the kernel in its interpreter."""

    @property
    def windows(self) -> tuple[int, int]:
        """Rows of windows, and windows times channels in a row."""
        down, across = self.measure.windows(self.height, self.width)
        return down, across * self.channels

    @property
    def pixels(self) -> tuple[int, int]:
        """Rows of pixels, and pixels times channels in a row."""
        return self.height, self.width * self.channels


def ssim_with(forward: Callable, backward: Callable, require: Callable[[], None]) -> Callable:
    """Makes an implementation of `ssim` from its two kernels.

    Args:
        forward: (geometry, x, y, maps=False) -> the mean of each frame (F,), and with `maps` the
            maps that `backward` reads, in a tuple. These are (F, 3, H', W' C): the derivatives of
            each window's SSIM by mean(x), with the other moments held, by mean(u v) and by
            mean(d^2); see `pallas_triton`.
        backward: (geometry, x, y, maps, cotangent of the means (F,)) -> cotangent of x.
        require: raises NotImplementedError where the kernels cannot run.

    Frames are (F, H, W, C), in float32 or bfloat16.
    """

    @cache
    def made(geometry):
        value = independent_frames(lambda x, y: forward(geometry, x, y)[0])
        with_maps = independent_frames(partial(forward, geometry, maps=True))
        pull = independent_frames(partial(backward, geometry))

        def primal(x, y):
            mean, maps = with_maps(x, y)
            return mean, (x, y, maps)

        def cotangents(residuals, cotangent):
            x, y, maps = residuals
            # SSIM is symmetric, so y's cotangent is x's with the two exchanged. A loss does not
            # use it, and XLA then drops this second call.
            return pull(x, y, maps, cotangent), pull(y, x, with_maps(y, x)[1], cotangent)

        function = jax.custom_vjp(value)
        function.defvjp(primal, cotangents)
        return function

    def ssim(x: jax.Array, y: jax.Array, measure: Measure) -> jax.Array:
        """Mean SSIM of each frame, (F, H, W, C) -> (F,): see `api.ssim`."""
        require()
        if jnp.float64 in (x.dtype, y.dtype):
            raise NotImplementedError("computes in float32, not float64")
        if max(len(measure.rows), len(measure.columns)) > LARGEST:
            raise NotImplementedError(f"serves windows of up to {LARGEST} pixels along each axis")
        if x.shape[0] == 0:
            return jnp.zeros((0,), jnp.float32)
        _, height, width, channels = x.shape
        return made(Geometry(measure, height, width, channels, gpu.interpreting()))(x, y)

    return ssim


def border_scales(geometry: Geometry) -> list[jax.Array]:
    """Factors (H,), (W,) by which windows have weights of sum 1 inside the frame, if any leave it.

    The factor of a window is the product of those of its row and its column.
    """
    measure = geometry.measure
    if measure.padding == "valid":
        return []
    sides = (geometry.height, measure.rows), (geometry.width, measure.columns)
    return [_border_scale(length, weights) for length, weights in sides]


def _border_scale(length, weights):
    pixel, total = jnp.arange(length) - len(weights) // 2, jnp.zeros(length, jnp.float32)
    for tap, weight in enumerate(weights):
        total += jnp.where((pixel + tap >= 0) & (pixel + tap < length), weight, 0)
    return 1 / total
