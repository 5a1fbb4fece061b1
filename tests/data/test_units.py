"""Model units: there and back, for NumPy and JAX arrays."""

import jax
import jax.numpy as jnp
import numpy as np

from pdr_datasets import Units, VideoDataset


def test_denormalise_inverts_normalise_per_channel():
    units = Units((1.0, -2.0), (2.0, 0.5))
    frames = np.arange(16, dtype=np.uint8).reshape(2, 2, 2, 2)
    normalised = units.normalise(frames)
    assert normalised.dtype == np.float32
    np.testing.assert_allclose(normalised[0, 0, 0], [(0 - 1) / 2, (1 + 2) / 0.5])
    np.testing.assert_allclose(units.denormalise(normalised), frames, atol=1e-5)


def test_default_maps_uint8_to_unit_interval_without_rank_promotion():
    units = VideoDataset("d", "c", {}, 1, 1, (2, 2, 1)).units
    normalised = units.normalise(jnp.full((1, 2, 2, 2, 1), 51, jnp.uint8))
    np.testing.assert_allclose(normalised, 0.2, atol=1e-7)


def test_units_are_a_static_argument_of_a_jitted_function():
    back = jax.jit(lambda units, x: units.denormalise(units.normalise(x)), static_argnums=0)
    frames = jnp.arange(6, dtype=jnp.uint8).reshape(3, 2)
    restored = back(Units((1.0, -2.0), (2.0, 0.5)), frames)
    assert restored.dtype == jnp.float32
    np.testing.assert_allclose(restored, frames, atol=1e-6)
