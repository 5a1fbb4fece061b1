"""Under bfloat16 a layer's gradients are float32's, but for roundings: no long sum is taken in it.

A bfloat16 total of numbers alike no longer grows from 256 terms on.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from pdr_jax.backbones.layers.conv import Conv
from pdr_jax.backbones.layers.conv3d import Conv3D
from pdr_jax.backbones.layers.conv_transpose import ConvTranspose
from pdr_jax.backbones.layers.initializers import pytorch_default
from pdr_jax.backbones.layers.layer_scale import layer_scale
from pdr_jax.backbones.layers.linear import Linear
from pdr_jax.backbones.layers.patch_grid import PatchEmbed
from pdr_jax.backbones.tau import TAUGate


class Scaled(nn.Module):
    """Layer scale alone."""

    dtype: str

    @nn.compact
    def __call__(self, x):
        return layer_scale(self, "scale", x.astype(self.dtype), 1.0)


@pytest.mark.parametrize(
    ("layer", "settings", "shape"),
    [
        (Conv, {"features": 2}, (4, 32, 32, 2)),
        (Conv, {"features": 2, "kernel_size": 3, "groups": 2}, (4, 32, 32, 2)),
        (Conv3D, {"features": 2}, (1, 4, 32, 32, 2)),
        (ConvTranspose, {"features": 2, "kernel_size": 2, "stride": 2}, (1, 32, 32, 2)),
        (Linear, {"features": 2}, (8, 16, 16, 4)),
        (PatchEmbed, {"features": 3, "size": 1}, (4, 32, 32, 2)),
        (Scaled, {}, (4, 32, 32, 2)),
        (TAUGate, {"initializer": pytorch_default}, (1, 64, 64, 4)),
    ],
)
def test_gradients_are_summed_in_float32(layer, settings, shape):
    x = 1 + jax.random.normal(jax.random.key(0), shape, jnp.bfloat16)
    variables = layer(**settings, dtype="float32").init(jax.random.key(1), x)

    def gradient(dtype):
        def total(variables):
            out = layer(**settings, dtype=dtype).apply(variables, x)
            assert out.dtype == dtype
            return out.astype(jnp.float32).sum() + out.astype(jnp.float32)[..., 0].sum()

        return jax.jit(jax.grad(total))(variables)

    narrow, wide = (jax.tree.leaves(gradient(dtype)) for dtype in ("bfloat16", "float32"))
    for got, want in zip(narrow, wide, strict=True):
        assert np.linalg.norm(got - want) < 0.02 * np.linalg.norm(want)
