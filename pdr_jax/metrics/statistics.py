"""Statistics of frames that show blur and collapse, reported relative to those of the truth.

Given `valid`, they are of the pixels that are: predictions and truth have the same ones.
"""

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float

from pdr_jax.arrays import AnyArray

_FRAME = (-3, -2, -1)
Valid = Bool[Array, "*B H W C"] | None


def gradient_magnitude(
    frames: Float[AnyArray, "*B H W C"], valid: Valid = None
) -> Float[Array, "*B"]:
    """Sum over a frame's pixels and channels of |(dx, dy)|, by forward differences.

    With `valid`, of the pixels that are valid like their neighbours right and below.
    """
    dx = frames[..., :-1, 1:, :] - frames[..., :-1, :-1, :]
    dy = frames[..., 1:, :-1, :] - frames[..., :-1, :-1, :]
    magnitude = jnp.sqrt(dx**2 + dy**2)
    if valid is not None:
        three = valid[..., :-1, :-1, :] & valid[..., :-1, 1:, :] & valid[..., 1:, :-1, :]
        magnitude = jnp.where(three, magnitude, 0.0)
    return magnitude.sum(_FRAME)


def fine_power(frames: Float[AnyArray, "*B H W C"], valid: Valid = None) -> Float[Array, "*B"]:
    """Power of a frame's finest details: its radially averaged spectrum, summed over one octave.

    The mean of each channel is subtracted and a Hann window applied, because a frame's opposite
    edges do not continue each other. The squared Fourier coefficients are averaged over rings, each
    one frequency step of the shorter side wide, and the rings between 1/4 and 1/2 cycles a pixel
    are summed. Invalid pixels count as the mean.

    Raises:
      ValueError: frames smaller than 8x8, which have too few rings.
    """
    height, width = frames.shape[-3:-1]
    if min(height, width) < 8:
        raise ValueError(
            f"frames are {height}x{width}; the spectrum needs at least 8x8 pixels: leave "
            "'spectral_energy' out of `names`"
        )
    window = np.outer(_hann(height), _hann(width))[..., None]
    detail = _without_mean(frames, valid) * _like(window, frames)
    power = jnp.abs(jnp.fft.rfft2(detail, axes=(-3, -2))) ** 2
    return (power * _like(_ring_weights(height, width)[..., None], frames)).sum(_FRAME)


def central_moments(
    frames: Float[AnyArray, "*B H W C"], valid: Valid = None
) -> tuple[Float[Array, "*B"], Float[Array, "*B"]]:
    """Second and fourth moment of a frame's values about the mean of their channel."""
    frames = jnp.asarray(frames)
    squared = _without_mean(frames, valid) ** 2
    if valid is not None:
        count = valid.sum(_FRAME)
        return squared.sum(_FRAME) / count, (squared**2).sum(_FRAME) / count
    return squared.mean(_FRAME), (squared**2).mean(_FRAME)


def _without_mean(frames: AnyArray, valid: Array | None) -> Array:
    """Differences from each channel's mean over a frame; 0 for invalid pixels."""
    if valid is None:
        return jnp.asarray(frames - frames.mean((-3, -2), keepdims=True))
    total = jnp.where(valid, frames, 0.0).sum((-3, -2), keepdims=True)
    return jnp.where(valid, frames - total / valid.sum((-3, -2), keepdims=True), 0.0)


def _hann(size: int) -> np.ndarray:
    return np.sin(np.pi * (np.arange(size) + 0.5) / size) ** 2


def _ring_weights(height: int, width: int) -> np.ndarray:
    """(H, W // 2 + 1): turns rfft2's power into the sum of ring averages over the top octave."""
    size = min(height, width)
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    ring = np.round(np.hypot(fy, fx) * size).astype(int)
    # rfft2 leaves out the mirror images of all columns but the first and, if W is even, the last.
    twice = np.where((fx == 0) | (fx == 0.5), 1.0, 2.0) + 0.0 * fy
    pixels = np.bincount(ring.ravel(), twice.ravel())[ring]
    chosen = (ring >= -(-size // 4)) & (ring <= size // 2)
    return np.where(chosen, twice / pixels, 0.0)


def _like(array: np.ndarray, frames: AnyArray) -> Array:
    """float32 of the frames' rank: JAX may be set to refuse implicit rank promotion."""
    return jnp.asarray(array, jnp.float32).reshape((1,) * (frames.ndim - array.ndim) + array.shape)
