"""`splat2d_normalized`: the weighted mean of the Gaussians at a pixel, and how well it is covered.

`splat2d` adds, so a frame is darker where Gaussians move apart and brighter where they meet.
Divided by the total of their weights it is neither, and the total says where nothing was drawn.
"""

from collections.abc import Sequence
from math import isfinite
from numbers import Real
from typing import SupportsIndex

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float

from pallas_kernels.splat2d.api import check_arrays, splat2d

SOFTNESS = 0.02
"""The default of `softness`."""


def splat2d_normalized(
    mean: Float[ArrayLike, "*B N 2"],
    scale: Float[ArrayLike, "*B N 2"],
    rotation: Float[ArrayLike, "*B N"],
    amplitude: Float[ArrayLike, "*B N C"],
    weight: Float[ArrayLike, "*B N"],
    *,
    height: SupportsIndex,
    width: SupportsIndex,
    window: SupportsIndex | None = None,
    full: float = 1.0,
    softness: float = SOFTNESS,
    sampling: str = "exact",
    implementation: str | Sequence[str] | None = None,
) -> tuple[Float[Array, "*B {height} {width} C"], Float[Array, "*B {height} {width} 1"]]:
    """Draws the weighted mean of 2D Gaussians, and their coverage.

    With g_i the value of Gaussian i of amplitude 1 at a pixel, and total = sum_i weight_i g_i:

        coverage = total / full
        frame = (1 + softness) sum_i weight_i g_i amplitude_i / (total + softness full)

    A hole has coverage 0 and frame 0, and overlaps do not brighten. Where the coverage is 1 the
    frame is the weighted mean of the amplitudes.

    Args:
        mean: (..., N, 2), pixels, as in `splat2d`.
        scale: (..., N, 2), pixels, as in `splat2d`.
        rotation: (..., N), radians, as in `splat2d`.
        amplitude: (..., N, C), the value that a Gaussian stands for.
        weight: (..., N), at least 0. This is not checked, because values are unknown under jit: a
            negative weight takes away from the total, and the frame grows without bound where the
            total is near -softness * full.
        height: rows of the frame.
        width: columns of the frame.
        window: as in `splat2d`.
        full: the total that counts as covered, > 0. One Gaussian of weight 1 and standard deviation
            s on every point of a grid with a spacing of d pixels has 2 pi s^2 / d^2.
        softness: > 0, the fraction of `full` below which the frame fades to 0.
        sampling: as in `splat2d`.
        implementation: as in `splat2d`, which is called once, for C + 1 channels.

    Returns:
        The frame (..., height, width, C) and the coverage (..., height, width, 1), in amplitude's
        dtype. Sums and quotients are computed in the widest dtype of the arguments, at least
        float32. All five arrays have gradients, as those of `splat2d`.

    Raises:
        ValueError: as `splat2d`, or `full` or `softness` is not positive and finite.
        TypeError: as `splat2d`, or `full` or `softness` is not a number.
        NotImplementedError: as `splat2d`.
    """
    mean, scale, rotation, amplitude, weight = check_arrays(
        mean=mean, scale=scale, rotation=rotation, amplitude=amplitude, weight=weight
    )
    full, softness = _check_positive("full", full), _check_positive("softness", softness)
    dtype = jnp.result_type(jnp.float32, mean, scale, rotation, amplitude, weight)
    share = weight.astype(dtype)[..., None]
    sums = splat2d(
        mean,
        scale,
        rotation,
        jnp.concatenate([share * amplitude, share], -1),
        height=height,
        width=width,
        window=window,
        sampling=sampling,
        implementation=implementation,
    )
    drawn, total = sums[..., :-1], sums[..., -1:]
    frame = (1 + softness) * drawn / (total + softness * full)
    return frame.astype(amplitude.dtype), (total / full).astype(amplitude.dtype)


def _check_positive(name, value):
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} is {value!r}; expected a positive number")
    number = float(value)
    if not (number > 0 and isfinite(number)):
        raise ValueError(f"{name} is {value}; expected a positive, finite number")
    return number
