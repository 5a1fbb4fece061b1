"""CrevNet: the public code's outputs and loss, invertibility, and what is corrected."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from golden_files import channels_last, check_round_trip, load, parameters, relative_error

from pdr_datasets import Units
from pdr_jax import PDR, backbones, losses, sampling
from pdr_jax.backbones.crevnet import InvertibleNetwork
from pdr_jax.interop import from_openstl
from pdr_jax.train import ClipSpec, TrainState, train_step


@pytest.fixture(scope="module")
def golden():
    config, weights, arrays = load("crevnet")
    module, variables = from_openstl(config, weights)
    clips = {
        key: channels_last(arrays[key]) for key in ("input", "future", "output", "output_warm")
    }
    return module, variables, {**clips, "loss": arrays["loss"]}


def test_the_import_is_complete(golden):
    module, variables, _ = golden
    config, weights, _ = load("crevnet")
    assert module.faithful
    assert module.width == config["rnn_size"]
    assert parameters(variables) == config["n_params"]
    check_round_trip(config, weights)


# Recorded: with the state forgotten before the last window, and with that of all windows.
@pytest.mark.parametrize(("faithful", "recorded"), [(True, "output"), (False, "output_warm")])
def test_outputs_equal_openstl(golden, faithful, recorded):
    module, variables, arrays = golden
    module = module.clone(faithful=faithful)
    apply = jax.jit(module.apply, static_argnames="horizon")
    with jax.default_matmul_precision("highest"):
        value = apply(variables, arrays["input"], horizon=4)
    assert relative_error(value, arrays[recorded]) < 1e-5
    assert relative_error(arrays["output"], arrays["output_warm"]) > 0.01


@pytest.mark.rest
def test_the_training_loss_equals_openstl(golden):
    """Which sums over windows of three frames; the trainer sums over frames instead."""
    module, variables, arrays = golden
    clips = jnp.concatenate([arrays["input"], arrays["future"]], axis=1)
    length, horizon = arrays["input"].shape[1], arrays["future"].shape[1]
    variables = {collection: {"backbone": tree} for collection, tree in variables.items()}
    tx = optax.sgd(0.0)
    state = TrainState(jnp.zeros((), jnp.int32), **variables, opt_state=tx.init({}))
    step = functools.partial(
        train_step, model=PDR(module), loss=losses.create("mse"), tx=tx,
        clip=ClipSpec(length, horizon, Units(0.0, 1.0)),
        sampling=sampling.create("teacher", rate=0.0),
    )  # fmt: skip
    windows = length + horizon - 3
    loss = jax.jit(step)(state, clips)[1]["loss"]
    np.testing.assert_allclose(windows / 3 * loss, arrays["loss"], rtol=1e-5)


def test_a_clip_shorter_than_a_window_is_trained_on():
    module = backbones.create("crevnet", (2, 4, 4, 1), nBlocks=(1,), predictor_rnn_layers=1)
    frames = jnp.zeros((1, 2, 4, 4, 1))
    variables = jax.eval_shape(module.init, jax.random.key(0), frames)
    _, sown = jax.eval_shape(
        lambda v, x: module.apply(v, x, train=True, mutable=["batch_stats", "losses", "warmup"]),
        variables, frames,
    )  # fmt: skip
    assert sown["warmup"]["frames"][0].shape == (1, 0, 4, 4, 1)


def test_the_network_is_inverted():
    network = InvertibleNetwork(channels=3, depths=(1, 2))
    rng = np.random.default_rng(0)
    frames = jnp.asarray(rng.uniform(size=(2, 3, 4, 8, 3)), jnp.float32)
    shapes = jax.eval_shape(
        lambda x: network.init(jax.random.key(0), x, False, method="encode"), frames
    )

    def fill(path, leaf):
        return jnp.asarray(rng.normal(path[-1].key in ("scale", "var"), 0.2, leaf.shape))

    variables = jax.tree_util.tree_map_with_path(fill, shapes)

    @jax.jit
    def there_and_back(variables, frames):
        features = network.apply(variables, frames, False, method="encode")
        return features, network.apply(variables, features, False, method="decode")

    features, back = there_and_back(variables, frames)
    assert [half.shape for half in features] == [(2, 3, 1, 2, 24)] * 2
    assert jnp.abs(features[0]).max() > 2  # the residuals do something
    np.testing.assert_allclose(back, frames, atol=1e-4)


def test_parameter_count_is_the_published_one():
    module = backbones.create("crevnet", (10, 64, 64, 1))
    frames = jax.ShapeDtypeStruct((1, 10, 64, 64, 1), jnp.float32)
    count = parameters(jax.eval_shape(module.init, jax.random.key(0), frames))
    assert round(count / 1e6, 1) == 5.0


def test_a_state_starts_with_the_first_whole_window(golden):
    module, variables, arrays = golden
    frames = arrays["input"]
    module = module.clone(faithful=False)

    @jax.jit
    def step(state, frame):
        return module.apply(variables, state, frame, False, method="step")[0]

    state = module.start(frames)
    for i in range(2):
        state = step(state, frames[:, i])
    assert jnp.abs(state.memory).max() > 0
    fresh = module.start(frames[:, 2:])._replace(before=frames[:, :2], seen=state.seen)
    third = frames[:, 2]
    jax.tree.map(np.testing.assert_array_equal, step(state, third), step(fresh, third))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"nBlocks": ()}, "the length of nBlocks = 0 must be at least 1"),
        ({"nBlocks": (1, 0)}, r"nBlocks\[1\] = 0 must be at least 1"),
        ({"nBlocks": (1, 1, 1)}, r"in_shape's H = 12 must be divisible by 8 \(2\^n for the 3"),
        ({"predictor_rnn_layers": 0}, "predictor_rnn_layers = 0 must be at least 1"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        backbones.create("crevnet", (4, 12, 8, 1), **{"nBlocks": (1,)} | settings)
