"""WaST's training loss on high frequencies (Nie et al., AAAI 2024)."""

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from pdr_jax.arrays import on_pairs
from pdr_jax.backbones.layers.wavelet import haar

REACH = 0.1
"""Frequencies below this share of the band's longer side are not compared."""


@on_pairs
def high_frequency_focal(
    prediction: Float[Array, "*B H W C"],
    target: Float[Array, "*B H W C"],
    *,
    weight: float = 0.001,
) -> Float[Array, ""]:
    """Compares the spectra of two frames' low Haar bands, without their lowest frequencies.

    Each squared distance of two orthonormal Fourier coefficients is multiplied by a focal weight,
    log(1 + distance) over its maximum in the frame, which has no gradient. The result is the mean
    over all coefficients; those that are not compared count as zero. As in the authors' code.

    Args:
      prediction: (..., H, W, C).
      target: (..., H, W, C).
      weight: multiplies the result; 0.001 is the published value.

    Returns:
      A float32 scalar (float64 for float64).

    Raises:
      ValueError: the shapes differ.
    """
    # The transforms are linear: the difference's spectrum is the spectra's difference.
    spectrum = jnp.fft.fft2(_low_band(prediction - target), axes=(-3, -2), norm="ortho")
    squared = jnp.square(spectrum.real) + jnp.square(spectrum.imag)
    focus = jnp.log1p(jnp.sqrt(jax.lax.stop_gradient(squared)))
    largest = focus.max(axis=(-3, -2), keepdims=True)
    focus = focus / jnp.where(largest > 0, largest, 1)
    height, width = squared.shape[-3:-1]
    mask = _mask(height, width).reshape((1,) * (squared.ndim - 3) + (height, width, 1))
    return weight * jnp.mean(jnp.where(mask, focus * squared, 0))


def _low_band(x: Array) -> Array:
    """(..., H, W, C) to half the height and width; odd frames first get a zero row or column."""
    height, width = x.shape[-3:-1]
    missing = [(0, 0)] * (x.ndim - 3) + [(0, height % 2), (0, width % 2), (0, 0)]
    return haar(jnp.pad(x, missing), (x.ndim - 3, x.ndim - 2))[0]


def _mask(height: int, width: int) -> Array:
    """Which coefficients are compared: those away from the corners, where low frequencies are."""
    rows, columns = jnp.arange(height), jnp.arange(width)
    rows, columns = (jnp.minimum(i, i[::-1]) for i in (rows, columns))
    distance = jnp.hypot(*jnp.meshgrid(rows, columns, indexing="ij"))
    return distance > REACH * max(height, width)
