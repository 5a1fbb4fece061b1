"""MAU equals the public code, on its published settings and on its other modes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden_files import channels_last, check_round_trip, load, parameters, relative_error

from pdr_jax import backbones
from pdr_jax.backbones.base import Forcing
from pdr_jax.backbones.mau import Memory, recall
from pdr_jax.interop import family, from_openstl

SMALL = {"num_hidden": (4, 4), "filter_size": 3, "sr_size": 2, "tau": 2}


@pytest.mark.parametrize("name", ["mau", "mau_recall"])
def test_outputs_equal_openstl(name):
    config, weights, arrays = load(name)
    config = {**config, "method": "MAU"}
    module, variables = from_openstl(config, weights)
    clip = channels_last(arrays["input"])
    length, horizon = config["pre_seq_length"], config["aft_seq_length"]
    given = np.arange(length + horizon - 1) < length
    given = np.broadcast_to(given, (2, length + horizon - 1)).copy()
    if "mask" in arrays:
        given[:, length:] = arrays["mask"].mean(axis=(2, 3, 4))
    forcing = Forcing(clip[:, length:], given)

    @jax.jit
    def predict(variables, frames, forcing):
        state = module.apply(variables, frames, method="start")
        return module.apply(
            variables, state, frames, horizon, forcing=forcing, method="unroll"
        )  # fmt: skip

    with jax.default_matmul_precision("highest"):
        _, predicted = predict(variables, clip[:, :length], forcing)
    assert relative_error(predicted, channels_last(arrays["output"])) < 1e-5
    loss = jnp.square(predicted - clip[:, 1:]).mean()
    assert loss == pytest.approx(float(arrays["loss"]), rel=1e-5)
    assert parameters(variables) == config["n_params"]
    check_round_trip(config, weights)
    check_round_trip({**config, **family(config).config(module)}, weights)


@pytest.mark.parametrize(
    ("in_shape", "sr_size", "published"),
    [
        ((4, 32, 32, 2), 2, 4_409_868),
        ((10, 64, 64, 1), 4, 4_483_588),
        ((10, 128, 128, 1), 2, 20_138_372),
        ((4, 256, 256, 3), 4, 20_212_504),
        ((12, 32, 64, 1), 2, 5_458_308),
    ],
)
def test_parameter_counts_are_the_published_ones(in_shape, sr_size, published):
    frames = jax.ShapeDtypeStruct((1, *in_shape), jnp.float32)

    def count(**fields):
        module = backbones.create("mau", in_shape, sr_size=sr_size, **fields)
        return parameters(jax.eval_shape(module.init, jax.random.key(0), frames))

    unused = (128 * 64 + 64) + (2 * in_shape[-1] ** 2 + in_shape[-1])
    assert count(faithful=True) == published == count() + unused


def test_memory_keeps_the_last_states_and_recall_finds_the_alike():
    rng = np.random.default_rng(0)
    steps = jnp.asarray(rng.normal(size=(3, 1, 2, 3, 4)), jnp.float32)
    memory = Memory(jnp.zeros((1, 2, 2, 3, 4)), jnp.zeros((1, 2, 2, 3, 4)))
    for x in steps:
        memory = memory.followed_by(2 * x, x)
    np.testing.assert_array_equal(memory.spatial[0], steps[1:, 0])
    np.testing.assert_array_equal(memory.temporal[0], 2 * steps[1:, 0])
    np.testing.assert_allclose(recall(memory, 99 * steps[1]), 2 * steps[1], rtol=1e-5)
    np.testing.assert_allclose(recall(memory, 0 * steps[1]), steps[1] + steps[2], rtol=1e-5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_hidden": (4, 8)}, r"num_hidden = \(4, 8\) must hold one width"),
        ({"num_hidden": ()}, "num_hidden"),
        ({"filter_size": 4}, "filter_size = 4 must be odd"),
        ({"sr_size": 3}, "sr_size = 3 must be a power of 2"),
        ({"sr_size": 8}, "in_shape's W = 12 must be divisible by 8"),
        ({"patch_size": 0}, "patch_size = 0 must be at least 1"),
        ({"tau": 0}, "tau = 0 must be at least 1"),
        ({"cell_mode": "recall"}, "cell_mode = 'recall' must be 'normal' or 'residual'"),
        ({"model_mode": "residual"}, "model_mode = 'residual' must be 'normal' or 'recall'"),
    ],
)
def test_impossible_settings_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        backbones.create("mau", (3, 8, 12, 1), **SMALL | fields)
