"""PhyDNet equals the public code, its loss included; its filters' moments are what they should."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden_files import channels_last, check_round_trip, load, parameters, relative_error

from pdr_jax import backbones
from pdr_jax.backbones.base import Forcing
from pdr_jax.backbones.phydnet import moments_of_kernels
from pdr_jax.interop import family, from_openstl

WIDTHS = {"nf": 16, "input_dim": 16, "hidden_dims": (16, 24, 16)}


@pytest.fixture(scope="module")
def golden():
    config, weights, arrays = load("phydnet")
    return {**config, "method": "PhyDNet", **WIDTHS}, weights, arrays


def test_outputs_and_losses_equal_openstl(golden):
    config, weights, arrays = golden
    module, variables = from_openstl(config, weights)
    clip = channels_last(arrays["input"])
    frames, future = clip[:, :4], clip[:, 4:]

    @jax.jit
    def train(variables, forced):
        given = jnp.broadcast_to((jnp.arange(6) < 4) | forced, (2, 6))
        out, sown = module.apply(
            variables, frames, 3, train=True, forcing=Forcing(future, given),
            mutable=["warmup", "losses"],
        )  # fmt: skip
        (warmup,), (moments,) = sown["warmup"]["frames"], sown["losses"]["moments"]
        return out, jnp.square(jnp.concatenate([warmup, out], 1) - clip[:, 1:]).mean() + moments

    with jax.default_matmul_precision("highest"):
        output = jax.jit(lambda v: module.apply(v, frames, horizon=3))(variables)
        own, loss = train(variables, False)
        _, forced_loss = train(variables, True)
    for prediction in output, own:
        assert relative_error(prediction, channels_last(arrays["output"])) < 1e-5
    steps = 6  # OpenSTL sums over them, so that its gradient is this loss's times 6
    assert steps * loss == pytest.approx(float(arrays["loss_tf0"]), rel=1e-5)
    assert steps * forced_loss == pytest.approx(float(arrays["loss_tf1"]), rel=1e-5)
    assert parameters(variables) == config["n_params"]


def test_weights_come_back(golden):
    config, weights, _ = golden
    buffers = family(config).buffers(from_openstl(config, weights)[0])
    for key, value in buffers.items():  # an inverse has no last digits to agree on
        np.testing.assert_allclose(value, weights[key], atol=1e-12)
    check_round_trip(config, weights | buffers)


def test_moments_equal_openstl(golden):
    _, weights, arrays = golden
    filters = weights["encoder.phycell.cell_list.0.F.conv1.weight"][:, 0]
    moments = np.moveaxis(moments_of_kernels(jnp.asarray(np.moveaxis(filters, 0, -1))), -1, 0)
    assert relative_error(moments, arrays["moments0"]) < 1e-5


def test_moments_are_the_derivatives_that_a_filter_takes():
    second = jnp.zeros((5, 5)).at[1:4, 2].set(jnp.asarray([1.0, -2.0, 1.0]))
    moments = moments_of_kernels(second)
    assert moments[2, 0] == 1
    assert jnp.abs(moments[:, 1:]).max() == jnp.abs(moments[:2]).max() == moments[3, 0] == 0


@pytest.mark.parametrize(
    ("in_shape", "patch_size", "published"),
    [((4, 32, 32, 2), 2, 3_092_309), ((10, 64, 64, 1), 4, 3_091_732)],
)
def test_parameter_counts_are_the_published_ones(in_shape, patch_size, published):
    module = backbones.create("phydnet", in_shape, patch_size=patch_size)
    frames = jax.ShapeDtypeStruct((1, *in_shape), jnp.float32)
    assert parameters(jax.eval_shape(module.init, jax.random.key(0), frames)) == published


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"patch_size": 3}, "patch_size = 3 must be 2 or 4"),
        ({"patch_size": 4}, "in_shape's W = 14 must be divisible by 4"),
        ({"nf": 24}, "nf = 24 must be divisible by 16"),
        ({"input_dim": 8}, "input_dim = 8 must be divisible by 16"),
        ({"hidden_dims": (16, 24)}, r"hidden_dims = \(16, 24\) must end with input_dim = 16"),
        ({"hidden_dims": ()}, "hidden_dims"),
        ({"kernel_size": 4}, "kernel_size = 4 must be odd"),
        ({"kernel_size": 1}, "kernel_size = 1 must be at least 3"),
    ],
)
def test_impossible_settings_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        backbones.create("phydnet", (3, 8, 14, 1), **WIDTHS | {"patch_size": 2} | fields)
