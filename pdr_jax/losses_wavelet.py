"""WaST's training loss on high frequencies (Nie et al., AAAI 2024)."""

import jax
import jax.numpy as jnp

from pdr_jax.backbones.layers.wavelet import haar

REACH = 0.1
"""Frequencies nearer to zero than this share of the band's longer side are not compared."""


def high_frequency_focal(
    prediction: jax.Array, target: jax.Array, *, weight: float = 0.001
) -> jax.Array:
    """Spectra of the frames' low Haar band compared, where they differ most and not at low ones.

    The squared distance of the orthonormal Fourier coefficients, times the focal weight
    log(1 + distance) over its maximum in the frame, without gradient; averaged over all
    coefficients, those left out counted as zero. The authors' code; published weight 0.001.

    Args:
      prediction: (..., H, W, C).
      target: of the same shape.
      weight: of the result, which is to be added to another loss.

    Returns:
      A float32 scalar (float64 for float64).

    Raises:
      ValueError: if the shapes differ.
    """
    if prediction.shape != target.shape:
        raise ValueError(
            f"prediction has shape {prediction.shape}, target {target.shape}; expected equal shapes"
        )
    dtype = jnp.promote_types(jnp.result_type(prediction, target), jnp.float32)
    # The transforms are linear: the difference's spectrum is the spectra's difference.
    difference = prediction.astype(dtype) - target.astype(dtype)
    spectrum = jnp.fft.fft2(_low_band(difference), axes=(-3, -2), norm="ortho")
    squared = jnp.square(spectrum.real) + jnp.square(spectrum.imag)
    focus = jnp.log1p(jnp.sqrt(jax.lax.stop_gradient(squared)))
    largest = focus.max(axis=(-3, -2), keepdims=True)
    focus = focus / jnp.where(largest > 0, largest, 1)
    height, width = squared.shape[-3:-1]
    mask = _mask(height, width).reshape((1,) * (squared.ndim - 3) + (height, width, 1))
    return weight * jnp.mean(jnp.where(mask, focus * squared, 0))


def _low_band(x: jax.Array) -> jax.Array:
    """Half the size; a zero row and column are added to odd frames."""
    height, width = x.shape[-3:-1]
    missing = [(0, 0)] * (x.ndim - 3) + [(0, height % 2), (0, width % 2), (0, 0)]
    return haar(jnp.pad(x, missing), (x.ndim - 3, x.ndim - 2))[0]


def _mask(height: int, width: int) -> jax.Array:
    """Whether a coefficient is compared: not near the spectrum's corners, the low frequencies."""
    rows, columns = jnp.arange(height), jnp.arange(width)
    rows, columns = (jnp.minimum(i, i[::-1]) for i in (rows, columns))
    distance = jnp.hypot(*jnp.meshgrid(rows, columns, indexing="ij"))
    return distance > REACH * max(height, width)
