"""PFGNet: the public code's outputs, sizes, what gates it, and how it starts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden_files import check_simvp, parameters

from pdr_jax import backbones
from pdr_jax.backbones.layers import conv, peripheral
from pdr_jax.backbones.pfgnet import ResponseNorm, first_channel


@pytest.mark.rest
@pytest.mark.parametrize("name", ["pfgnet_no_tail", "pfgnet"])
def test_outputs_equal_the_public_code(name):
    check_simvp(name)


@pytest.mark.parametrize(
    ("in_shape", "sizes", "count"),
    [
        ((4, 32, 32, 2), (32, 2, 8), 1_855_426),
        pytest.param((4, 256, 256, 3), (64, 4, 8), 7_259_491, marks=pytest.mark.rest),
        pytest.param((10, 128, 128, 1), (64, 2, 6), 30_922_377, marks=pytest.mark.rest),
        pytest.param((10, 64, 64, 1), (64, 4, 8), 41_261_409, marks=pytest.mark.rest),
    ],
)
def test_parameter_counts_are_those_of_the_public_code(in_shape, sizes, count, monkeypatch):
    for module in (conv, peripheral):  # most of the time would go into tracing these
        monkeypatch.setattr(module, "depthwise_conv", lambda x, kernel, **dilation: x)
    settings = dict(zip(("hid_S", "N_S", "N_T"), sizes, strict=True))
    module = backbones.create("pfgnet", in_shape, **settings)
    frames = jax.ShapeDtypeStruct((1, *in_shape), jnp.float32)
    assert parameters(jax.eval_shape(module.init, jax.random.key(0), frames)) == count


def test_gates_see_slopes_curvature_and_variance():
    row, column = np.mgrid[:5, :7].astype(np.float32)
    x = jnp.asarray(np.stack([column, column + row**2], axis=-1)[None])
    slope, curvature, variance = peripheral.structure(x)[0, 2, 3]
    # The second channel falls by 4 a row, bends by 2, and varies by 2/3 and by that of 1, 4, 9.
    np.testing.assert_allclose(slope, (8 + 8 * (1 + 4**2) ** 0.5) / 2, rtol=1e-5)
    np.testing.assert_allclose(curvature, 2 / 2, rtol=1e-5)
    np.testing.assert_allclose(variance, (2 / 3 + 2 / 3 + np.var([1, 4, 9])) / 2, rtol=1e-5)


def test_a_channel_is_compared_with_its_own_norm_and_nothing_with_0():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3, 4, 2)), jnp.float32)
    x = x.at[..., 1].set(0)
    parameters = {"gamma": jnp.array([2.0, 3.0]), "beta": jnp.array([0.5, 0.25])}

    def norm(x):
        return ResponseNorm().apply({"params": parameters}, x)

    value, gradient = jax.jit(lambda x: (norm(x), jax.grad(lambda x: norm(x).sum())(x)))(x)
    first = np.asarray(x[..., 0])
    length = np.sqrt(np.square(first).sum((1, 2), keepdims=True))
    np.testing.assert_allclose(value[..., 0], first + 2 * first / length + 0.5, rtol=1e-5)
    np.testing.assert_array_equal(value[..., 1], np.full((2, 3, 4), 0.25))
    assert np.isfinite(gradient).all()


def test_depthwise_kernels_start_as_in_the_public_code():
    kernel, _ = peripheral.he_of_all_channels(400)(5, 5)
    deviation = kernel(jax.random.key(0), (1, 5, 1, 400)).std()
    np.testing.assert_allclose(deviation, (2 / (400 * 5)) ** 0.5, rtol=0.05)
    same, _ = first_channel(1, 1)
    np.testing.assert_array_equal(same(jax.random.key(0), (1, 1, 1, 4)), [[[[1, 0, 0, 0]]]])


def test_stochastic_depth_of_each_block():
    module = backbones.create("pfgnet", (4, 8, 8, 1), N_S=2, N_T=3, drop_path=0.1)
    np.testing.assert_allclose(module.drop_path_rates(), [0.01, 0.055, 0.1])
    assert module.clone(drop_path=0.0).drop_path_rates() == (0, 0, 0)
    assert module.clone(N_T=1).drop_path_rates() == (0.1,)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hid_S": 12}, r"T \* hid_S = 48 must be divisible by 32 \(the groups of its norm"),
        ({"pfga_K": (9, 16)}, r"pfga_K\[1\] = 16 must be odd"),
        ({"cel_k": ()}, "the length of cel_k = 0 must be at least 1"),
        ({"N_T": 0}, "N_T = 0 must be at least 1"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        backbones.create("pfgnet", (4, 8, 8, 1), **{"N_S": 2, **settings})
