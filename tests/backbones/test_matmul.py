import jax
import numpy as np
import pytest

from pdr_jax.backbones.layers.matmul import matmul


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 4)])
@pytest.mark.parametrize("batch", [(6,), (2, 3, 4)])
def test_product_and_gradients_are_those_of_the_definition(shape, batch):
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        x, kernel = rng.normal(size=(*batch, shape[0])), rng.normal(size=shape)
        cotangent = rng.normal(size=(*batch, shape[1]))
        out, pull = jax.vjp(jax.jit(matmul), x, kernel)
        np.testing.assert_allclose(out, x @ kernel, rtol=1e-13)
        dx, dkernel = pull(cotangent)
        np.testing.assert_allclose(dx, cotangent @ kernel.T, rtol=1e-12)
        expected = x.reshape(-1, shape[0]).T @ cotangent.reshape(-1, shape[1])
        np.testing.assert_allclose(dkernel, expected, rtol=1e-12, atol=1e-13)
