"""What the GPU implementations share: the numbers that their kernels read, and the VJP around them.

Both directions gather. Forward, a program owns a tile of pixels and runs over the Gaussians that
reach it. Backward, a program owns some Gaussians and runs over the pixels that they reach. Every
output has one writer: no atomics, no order of depth, the same bits in every run.

A kernel evaluates a Gaussian by its triangular factor, see `factor`.
"""

from collections.abc import Callable
from math import sqrt
from typing import NamedTuple

import jax
import jax.numpy as jnp

from pallas_kernels import gpu
from pallas_kernels.batching import differentiable
from pallas_kernels.splat2d.factor import factor_of, gradients
from pallas_kernels.splat2d.reference import MAX_MEAN, MIN_SCALE

MAX_SCALE = 2.0**24
"""Larger scales are drawn as this many pixels, which is flat in float32 on any frame."""

FLUSHED = 126.0
"""Where u^2 + v^2 is larger, exp2 is below the smallest normal float32 and counts as zero."""

CHUNK = 32
"""Gaussians that a kernel tests against its tile at a time: one for each lane of a warp."""

FEW = 8
"""Up to this many channels a thread sums in its registers; more are a matrix product."""

SORTED = 1024
"""With more Gaussians a frame than this, whole chunks far from a tile are skipped."""

FAR = 2**14
"""Bytes that a kernel reads of a window, from which on neighbours are better read together."""

OUTSIDE = 1e18
"""Replaces u or v outside the window. Its square is finite, and exp2 of minus that is 0."""


class Geometry(NamedTuple):
    """What a kernel is compiled for, beside the shapes of its arrays."""

    height: int
    width: int
    window: int | None
    dtype: jnp.dtype
    """Of the frames and their cotangent."""
    interpret: bool
    """Whether Pallas runs the kernel in its interpreter."""


def splat_with(forward: Callable, backward: Callable, require: Callable[[], None]) -> Callable:
    """Makes an implementation of `splat2d` from its two kernels.

    Args:
        forward: (geometry, gaussians (F, 7, P), amplitude (F, P, C), boxes) -> frames (F, H, W, C)
            in geometry.dtype. `gaussians` is what `pack` returns; P is a multiple of CHUNK. `boxes`
            is None, or for more than SORTED Gaussians what `bounds` returns; they are then in the
            order of a space-filling curve.
        backward: (geometry, gaussians (F, 7, P), amplitude (F, P, C), cotangent (F, H, W, C)) ->
            moments (F, MOMENTS, P), as in `factor.gradients` with
            h = value sum_c amplitude_c cotangent_c, and the gradient by amplitude (F, P, C). Those
            of the Gaussians that `pack` adds may be left unwritten.
        require: raises NotImplementedError where the kernels cannot run.

    Everything but the frames and their cotangent is float32.
    """

    def draw(geometry, mean, scale, rotation, amplitude):
        factor = factor_of(scale, rotation)
        if mean.shape[1] > SORTED:
            order = jnp.argsort(curve(geometry, mean), axis=-1)[..., None]
            mean, factor, amplitude = (
                jnp.take_along_axis(x, order, axis=1) for x in (mean, factor, amplitude)
            )
        gaussians = pack(geometry, mean, factor)
        boxes = bounds(gaussians) if mean.shape[1] > SORTED else None
        return forward(geometry, gaussians, _pad(amplitude, 1), boxes)

    def pull(geometry, mean, scale, rotation, amplitude, cotangent):
        count = amplitude.shape[1]
        gaussians = pack(geometry, mean, factor_of(scale, rotation))
        moments, d_amplitude = backward(geometry, gaussians, _pad(amplitude, 1), cotangent)
        moments = moments[..., :count].mT
        return *gradients(scale, rotation, moments), d_amplitude[:, :count]

    render = differentiable(draw, pull)

    def splat(mean, scale, rotation, amplitude, *, height, width, window, sampling, dtype):
        """Sums the Gaussians of every frame, (F, N, ...) -> (F, H, W, C): see `splat2d`."""
        require()
        if sampling != "exact":
            raise NotImplementedError(f"sampling is {sampling!r}; the GPU kernels draw 'exact'")
        if mean.dtype != jnp.float32:
            raise NotImplementedError(f"computes in float32, not {mean.dtype}")
        mean = jnp.clip(mean, -MAX_MEAN, MAX_MEAN)
        scale = jnp.clip(scale, MIN_SCALE, MAX_SCALE)
        geometry = Geometry(height, width, window, jnp.dtype(dtype), gpu.interpreting())
        return render(geometry)(mean, scale, rotation, amplitude)

    return splat


def pack(geometry: Geometry, mean: jax.Array, factor: jax.Array) -> jax.Array:
    """What kernels read of each Gaussian, (F, 7, P): mean x and y, a, b, c, reach x and y.

    A Gaussian is zero where |dx| or |dy| exceeds its reach, which is half the window or where
    float32 ends. The rows are padded to a multiple of CHUNK by Gaussians that reach nothing.
    """
    a, b, c = jnp.moveaxis(factor, -1, 0)
    reach = sqrt(FLUSHED) * jnp.stack([jnp.sqrt(1 + (b / c) ** 2) / a, 1 / c], -1)
    if geometry.window is not None:
        reach = jnp.minimum(reach, geometry.window / 2)
    rows = jnp.concatenate([mean, factor, reach], -1)
    return _pad(rows, 1, -1.0).mT


def bounds(gaussians: jax.Array) -> jax.Array:
    """The boxes that chunks of packed Gaussians reach, (F, 4, P / CHUNK).

    The four are the least and the most x, the least and the most y. The chunks are padded to a
    multiple of CHUNK by boxes that hold nothing.
    """
    chunks = gaussians.reshape(*gaussians.shape[:2], -1, CHUNK)
    mean, reach = chunks[:, :2], chunks[:, 5:]
    used = ~(reach < 0)  # NaN, which is drawn everywhere, is used
    reach += 2**-22 * (jnp.abs(mean) + reach)  # no sum rounds to less than what is reached
    least = jnp.where(used, mean - reach, jnp.inf).min(-1)
    most = jnp.where(used, mean + reach, -jnp.inf).max(-1)
    least, most = _pad(least, 2, jnp.inf), _pad(most, 2, -jnp.inf)
    return jnp.stack([least[:, 0], most[:, 0], least[:, 1], most[:, 1]], 1)


def curve(geometry, mean):
    """The places of means (F, N, 2) along a Morton curve over the frame, (F, N) int32."""
    cells = 2**12
    x, y = (
        jnp.clip(mean[..., axis] * (cells / size), 0, cells - 1).astype(jnp.int32)
        for axis, size in enumerate((geometry.width, geometry.height))
    )
    code = jnp.zeros_like(x)
    for bit in range(12):
        code |= ((x >> bit & 1) << 2 * bit) | ((y >> bit & 1) << 2 * bit + 1)
    return code


def read_together(geometry: Geometry, channels: int) -> bool:
    """Whether backward kernels should take neighbouring Gaussians at the same time.

    One after the other they would find nothing in L1 if windows are large, and to read all pixels
    from L2 takes longer than to add them up. By prediction, see `tools.predict`.

    Args:
        geometry: of the frames.
        channels: that a program reads.
    """
    side = geometry.window or max(geometry.height, geometry.width)
    pixels = min(side, geometry.height) * min(side, geometry.width)
    return pixels * channels * geometry.dtype.itemsize > FAR


def along_curve(geometry: Geometry, gaussians: jax.Array) -> jax.Array:
    """The order of packed Gaussians (F, 7, P) along a space-filling curve, (F, P) int32."""
    return jnp.argsort(curve(geometry, gaussians[:, :2].mT), axis=-1).astype(jnp.int32)


def _pad(x, axis, value=0.0):
    """Pads an axis of Gaussians to a multiple of CHUNK."""
    widths = [(0, 0)] * x.ndim
    widths[axis] = (0, -x.shape[axis] % CHUNK)
    return jnp.pad(x, widths, constant_values=value)
