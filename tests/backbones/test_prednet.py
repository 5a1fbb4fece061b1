"""PredNet equals the public code, and beyond it takes its predictions for what they predict."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden_files import channels_last, check_round_trip, load, parameters, relative_error

from pdr_jax import backbones
from pdr_jax.backbones.base import Forcing
from pdr_jax.interop import family, from_openstl


@pytest.fixture(scope="module")
def golden():
    config, weights, arrays = load("prednet")
    module, variables = from_openstl(config, weights)
    return module, variables, config, {k: v for k, v in arrays.items() if "/" not in k}


@pytest.fixture(scope="module")
def predictions(golden):
    """Of the frames after the observed ones, as the original and as corrected."""
    module, variables, config, arrays = golden
    frames = channels_last(arrays["input"])[:, : config["pre_seq_length"]]

    def predict(faithful):
        apply = dataclasses.replace(module, faithful=faithful).apply
        with jax.default_matmul_precision("highest"):
            return jax.jit(lambda v: apply(v, frames, horizon=3))(variables)

    return predict(True), predict(False)


def test_outputs_equal_openstl(golden, predictions):
    _, variables, config, arrays = golden
    assert relative_error(predictions[0], channels_last(arrays["output"])) < 1e-5
    assert parameters(variables) == config["n_params"]


def test_weights_come_back(golden):
    module, _, config, _ = golden
    weights = load("prednet")[1]
    check_round_trip(config, weights)
    check_round_trip(config | family(config).config(module), weights)


def test_training_sees_true_frames_and_half_its_l1_loss_is_openstls(golden):
    module, variables, _, arrays = golden
    clip = channels_last(arrays["input"])
    forcing = Forcing(clip[:, 4:], jnp.ones((2, 6), bool))

    @jax.jit
    def train(variables):
        out, sown = module.apply(
            variables, clip[:, :4], 3, train=True, forcing=forcing, mutable=["warmup", "losses"]
        )
        return jnp.concatenate([*sown["warmup"]["frames"], out], axis=1)

    with jax.default_matmul_precision("highest"):
        predicted = train(variables)
    assert relative_error(predicted, channels_last(arrays["forced"])[:, 1:]) < 1e-5
    loss = jnp.abs(predicted - clip[:, 1:]).mean() / 2
    assert loss == pytest.approx(float(arrays["loss"]), rel=1e-5)


def test_corrected_is_faithful_until_a_prediction_stands_for_the_next_frame(predictions):
    faithful, corrected = predictions
    np.testing.assert_allclose(corrected[:, 0], faithful[:, 0], atol=1e-6)
    assert jnp.abs(corrected[:, 1] - faithful[:, 1]).max() > 0.1


def test_a_prediction_taken_for_true_is_no_error(golden):
    module, variables, _, arrays = golden
    frames = channels_last(arrays["input"])[:, :4]
    module = dataclasses.replace(module, faithful=False)

    def lowest_error(module):
        state = module.start(frames)
        return module.errors(state.hidden, module.predict(0, state.hidden[0]))[0]

    error = jax.jit(lambda v: module.apply(v, method=lowest_error))(variables)
    assert jnp.abs(error).max() == 0


@pytest.mark.parametrize(
    ("in_shape", "published"),
    [
        ((10, 64, 64, 1), 12_510_842),
        ((4, 32, 32, 2), 12_512_926),
        ((4, 256, 256, 3), 12_515_244),
    ],
)
def test_parameter_counts_are_the_published_ones(in_shape, published):
    module = backbones.create("prednet", in_shape)
    frames = jax.ShapeDtypeStruct((1, *in_shape), jnp.float32)
    assert parameters(jax.eval_shape(module.init, jax.random.key(0), frames)) == published


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"stack_sizes": ()}, "the length of stack_sizes = 0"),
        ({"stack_sizes": (4, 0)}, r"stack_sizes\[1\] = 0 must be at least 1"),
        ({"stack_sizes": (4, 4, 4)}, "in_shape's W = 12 must be divisible by 8"),
        ({"A_filt_sizes": (3, 3, 3)}, r"A_filt_sizes = \(3, 3, 3\) must be one number, or 2"),
        ({"R_filt_sizes": 4}, "R_filt_sizes = 4 must be odd"),
        ({"error_activation": "elu"}, "error_activation = 'elu' must be one of relu, tanh"),
        ({"A_activation": "elu"}, "A_activation = 'elu' must be one of relu, tanh"),
        ({"pixel_max": 0.0}, "pixel_max = 0.0 must be greater than 0"),
        ({"pixel_max": -1}, "pixel_max = -1 must be greater than 0"),
    ],
)
def test_impossible_settings_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        backbones.create("prednet", (3, 8, 12, 1), **{"stack_sizes": (4, 4)} | fields)
