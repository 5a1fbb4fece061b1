"""DMVFN: the public code's outputs, warping, the router, and what is corrected."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden_files import channels_last, check_round_trip, load, parameters, relative_error

from pdr_jax import backbones
from pdr_jax.backbones import Forcing
from pdr_jax.backbones.dmvfn import laplacian_l1, pyramid_levels
from pdr_jax.interop import from_openstl
from pdr_jax.warp import warp

TINY = {"num_features": (4, 4), "scale": (2, 1), "routing_out_channels": 2}


@pytest.fixture(scope="module")
def golden():
    config, weights, arrays = load("dmvfn")
    module, variables = from_openstl(config, weights)
    return module, variables, {key: jnp.asarray(arrays[key]) for key in arrays}


def test_the_import_is_complete(golden):
    module, variables, _ = golden
    config, weights, _ = load("dmvfn")
    assert module.faithful
    assert parameters(variables) == config["n_params"]
    check_round_trip(config, weights)


# Recorded: the whole batch with the first sample's blocks, and every sample by itself.
@pytest.mark.parametrize(("faithful", "recorded"), [(True, "output"), (False, "output_apart")])
def test_outputs_equal_openstl(golden, faithful, recorded):
    module, variables, arrays = golden
    module = module.clone(faithful=faithful)
    with jax.default_matmul_precision("highest"):
        value = jax.jit(module.apply)(variables, channels_last(arrays["input"]))
    assert relative_error(value, channels_last(arrays[recorded])) < 1e-5
    assert relative_error(arrays["output"], arrays["output_apart"]) > 0.1


def test_blocks_and_loss_equal_openstl(golden):
    module, variables, arrays = golden
    frames = channels_last(arrays["input"])

    @jax.jit
    def blocks(variables, older, newer, target):
        chances = module.apply(variables, older, newer, method="chances")
        predictions = module.apply(
            variables, older, newer, jnp.round(chances), method="block_predictions"
        )
        return chances, predictions, [laplacian_l1(p, target, 3) for p in predictions]

    with jax.default_matmul_precision("highest"):
        chances, predictions, losses = blocks(variables, *jnp.unstack(frames, axis=1))
    np.testing.assert_allclose(chances, arrays["chances"], atol=1e-6)
    for value, expected in zip(predictions, arrays["merged"], strict=True):
        assert relative_error(value, channels_last(expected)) < 1e-5
    np.testing.assert_allclose(losses, arrays["laplacian"], rtol=1e-5)


@pytest.mark.parametrize(
    ("in_shape", "published"), [((10, 64, 64, 1), 3.5e6), ((4, 32, 32, 2), 3.54e6)]
)
def test_parameter_counts_are_the_published_ones(in_shape, published):
    module = backbones.create("dmvfn", in_shape)
    frames = jax.ShapeDtypeStruct((1, *in_shape), jnp.float32)
    count = parameters(jax.eval_shape(module.init, jax.random.key(0), frames))
    digits = {3.5e6: 1, 3.54e6: 2}[published]
    assert round(count / 1e6, digits) == published / 1e6


def flow_of(dx, dy):
    return jnp.broadcast_to(jnp.asarray([dx, dy], jnp.float32).reshape(1, 1, 1, 2), (1, 2, 3, 2))


@pytest.mark.parametrize(
    ("dx", "dy", "expected"),
    [
        (0, 0, [[0, 1, 2], [10, 11, 12]]),
        (1, 0, [[1, 2, 2], [11, 12, 12]]),  # the border is repeated
        (-1, 0, [[0, 0, 1], [10, 10, 11]]),
        (0.25, 0.5, [[5.25, 6.25, 7], [10.25, 11.25, 12]]),
        (-0.5, -0.25, [[0, 0.5, 1.5], [7.5, 8, 9]]),
        (100, -100, [[2, 2, 2], [2, 2, 2]]),
    ],
)
def test_warping(dx, dy, expected):
    image = jnp.asarray([[0, 1, 2], [10, 11, 12]], jnp.float32).reshape(1, 2, 3, 1)
    np.testing.assert_allclose(warp(image, flow_of(dx, dy))[0, ..., 0], expected, atol=1e-6)


def test_a_flow_has_a_gradient_within_the_frame_only():
    image = jnp.asarray([[0, 1, 2], [10, 11, 12]], jnp.float32).reshape(1, 2, 3, 1)
    gradient = jax.grad(lambda flow: warp(image, flow).sum())(flow_of(0.5, 0.5))
    np.testing.assert_allclose(gradient[0, ..., 0], [[1, 1, 0], [1, 1, 0]])
    np.testing.assert_allclose(gradient[0, ..., 1], [[10, 10, 10], [0, 0, 0]])


@pytest.fixture(scope="module")
def tiny():
    """A module and its variables, and a clip."""
    module = backbones.create("dmvfn", (3, 8, 16, 1), **TINY)
    rng = np.random.default_rng(0)
    frames = jnp.asarray(rng.uniform(size=(2, 3, 8, 16, 1)), jnp.float32)
    shapes = jax.eval_shape(module.init, jax.random.key(0), frames)
    fill = lambda leaf: jnp.asarray(rng.normal(0, 0.3, leaf.shape), leaf.dtype)  # noqa: E731
    return module, jax.tree.map(fill, shapes), frames


def indifferent(variables):
    """With a router that finds all blocks equally useful."""
    head = {"kernel": jnp.zeros((2, 2)), "bias": jnp.zeros(2)}
    return {"params": {**variables["params"], "router_head": head}}


def test_the_prediction_from_one_frame_is_not_scored(tiny):
    module, variables, frames = tiny
    for length, scored in ((3, 1), (2, 0), (1, 0)):
        sown = jax.eval_shape(
            lambda v, x: module.clone(in_shape=x.shape[1:]).apply(
                v, x, 1, train=True, mutable=["losses", "warmup"],
                rngs={"dropout": jax.random.key(0)},
            ),
            variables, frames[:, :length],
        )[1]["warmup"]["frames"][0]  # fmt: skip
        assert sown.shape == (2, scored, 8, 16, 1)


def test_the_router_draws_with_straight_through_gradients(tiny):
    module, variables, frames = tiny

    def total(params, method, **arguments):
        out = module.apply({"params": params}, *frames[:, :2].swapaxes(0, 1), method=method,
                           **arguments)  # fmt: skip
        return (out * jnp.asarray([[1.0, 2.0]])).sum(), out

    @jax.jit
    def drawn(key):
        return jax.grad(total, has_aux=True)(
            variables["params"], "route", train=True, rngs={"dropout": key}
        )

    gradient, gates = drawn(jax.random.key(0))
    expected, chances = jax.grad(total, has_aux=True)(variables["params"], "chances")
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), gradient, expected)
    assert jnp.abs(gradient["router_head"]["kernel"]).max() > 0
    np.testing.assert_allclose(gates, jnp.round(gates), atol=1e-6)
    mean = jnp.mean(jnp.stack([drawn(jax.random.key(i))[1] for i in range(100)]), axis=0)
    np.testing.assert_allclose(mean, chances, atol=0.2)
    np.testing.assert_allclose(chances.mean(), module.beta, atol=1e-5)


def test_without_a_block_the_frames_are_mixed_or_the_older_is_repeated(tiny):
    module, variables, frames = tiny
    variables = indifferent(variables)  # below a half, just

    @functools.partial(jax.jit, static_argnums=0)
    def step(faithful):
        return module.clone(faithful=faithful).apply(
            variables, frames[:, 0], frames[:, 1], False, method="step"
        )[1]

    np.testing.assert_array_equal(step(True), frames[:, 0])
    np.testing.assert_allclose(step(False), frames[:, :2].mean(axis=1), atol=1e-6)


def test_only_the_public_code_clips(tiny):
    module, variables, frames = tiny
    older, newer, gates = 3 * frames[:, 0] - 1, 3 * frames[:, 1] - 1, jnp.ones((2, 2))

    def last(faithful):
        module_ = module.clone(faithful=faithful)
        return module_.apply(variables, older, newer, gates, method="block_predictions")[-1]

    free = last(False)
    assert free.min() < 0
    assert free.max() > 1
    np.testing.assert_array_equal(last(True), jnp.clip(free, 0, 1))


def test_training_sows_the_blocks_loss_of_all_known_frames(tiny):
    module, variables, frames = tiny
    future = jnp.flip(frames, axis=1)[:, :2]

    def sown(frames, forcing=None):
        module_ = module.clone(in_shape=frames.shape[1:])
        _, updates = jax.eval_shape(
            lambda v, x, f: module_.apply(
                v, x, 2, train=True, forcing=f, mutable=["losses", "warmup"],
                rngs={"dropout": jax.random.key(0)},
            ),
            variables, frames, forcing,
        )  # fmt: skip
        return updates.get("losses")

    assert sown(frames[:, :2]) is None  # no three frames in a row
    assert sown(frames)["blocks"][0].shape == ()
    given = jnp.ones((2, 3), bool)
    assert sown(frames[:, :2], Forcing(future, given))["blocks"][0].shape == ()


def test_the_sown_loss_is_that_of_all_blocks(tiny):
    module, variables, frames = tiny
    module, variables = module.clone(beta=1.0), indifferent(variables)
    _, updates = module.apply(
        variables, frames, method="_sow_block_loss", mutable="losses",
        rngs={"dropout": jax.random.key(0)},
    )  # fmt: skip
    first, last = (
        laplacian_l1(prediction, frames[:, 2], pyramid_levels(8, 16))
        for prediction in module.apply(
            variables, frames[:, 0], frames[:, 1], jnp.ones((2, 2)), method="block_predictions"
        )
    )
    expected = module.gamma * first + last
    np.testing.assert_allclose(updates["losses"]["blocks"][0], expected, rtol=1e-5)


def test_levels_of_the_pyramid():
    sides = [(64, 64), (32, 32), (128, 256), (48, 48), (16, 32), (8, 64), (4, 4), (2, 4)]
    assert [pyramid_levels(*side) for side in sides] == [5, 3, 5, 4, 3, 2, 1, 0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scale": (2,)}, r"scale = \(2,\) and num_features = \(4, 4\) must be as long"),
        ({"num_features": (4, 2)}, r"num_features\[1\] = 2 must be at least 4"),
        ({"scale": (4, 1)}, r"in_shape's H = 8 must be divisible by 16 \(4 times scale\[0\]"),
        ({"beta": 0.0}, r"beta = 0.0 must be in \(0, 1\]"),
        ({"gamma": 1.5}, r"gamma = 1.5 must be in \(0, 1\]"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        backbones.create("dmvfn", (3, 8, 16, 1), **TINY | settings)
