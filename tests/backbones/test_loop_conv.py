"""The convolution whose gradient is written out has the gradient that JAX derives."""

import jax
import numpy as np
import pytest

from pdr_jax.backbones.layers.loop_conv import loop_conv, xla_conv


@pytest.mark.parametrize(
    ("side", "stride", "padding", "spread", "dilation"),
    [
        ((5, 3), (1, 1), ((2, 2), (1, 1)), (1, 1), (1, 1)),
        ((3, 3), (2, 3), ((1, 1), (1, 1)), (1, 1), (1, 2)),
        ((1, 2), (2, 2), ((0, 0), (0, 1)), (1, 1), (1, 1)),
        ((3, 2), (1, 1), ((1, 2), (1, 1)), (2, 2), (1, 1)),  # transposed
        ((3, 3), (1, 1), ((-1, 0), (2, -1)), (1, 1), (1, 1)),  # cropped
    ],
)
def test_the_gradients_are_those_that_jax_derives(side, stride, padding, spread, dilation):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 7, 8, 3)).astype(np.float32)
    kernel = rng.normal(size=(*side, 3, 4)).astype(np.float32)
    settings = (stride, padding, spread, dilation)
    expected, derived = jax.vjp(lambda x, k: xla_conv(x, k, *settings), x, kernel)
    value, written = jax.vjp(lambda x, k: loop_conv(x, k, *settings), x, kernel)
    np.testing.assert_array_equal(value, expected)
    cotangent = rng.normal(size=value.shape).astype(np.float32)
    for got, want in zip(written(cotangent), derived(cotangent), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)
