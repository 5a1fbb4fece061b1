"""The tracked adapter: it carries the last observed frames on."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pdr_jax import PDR, PredGS, predgs
from pdr_jax.fusion import GatedFusion
from pdr_jax.predgs import PredGSConfig, TrackingConfig

T, H, W, C = 4, 16, 22, 2


def config(**tracking):
    return predgs.create("tracked", hidden=8, tracking=TrackingConfig(**tracking))


def textures(seed, count):
    """A smooth random texture for each clip, as a function of x and y in pixels."""
    keys = jax.random.split(jax.random.key(seed), 3)
    waves = jax.random.uniform(keys[0], (count, 24, 2), minval=-0.9, maxval=0.9)
    phase = jax.random.uniform(keys[1], (count, 24), maxval=2 * np.pi)
    height = jax.random.normal(keys[2], (count, 24, C)) / 8

    def at(clip, x, y):
        angle = jnp.stack([x, y], -1) @ waves[clip].T + phase[clip].reshape(1, 1, 1, -1)
        return jnp.cos(angle) @ height[clip] + 0.5

    return at


def moving(seed, velocity, length):
    """Clips (B, length, H, W, C) of textures that move by velocity (B, 2) pixels a frame."""
    texture = textures(seed, len(velocity))
    time, y, x = jnp.meshgrid(*map(jnp.arange, (length, H, W)), indexing="ij")
    return jnp.stack(
        [texture(i, x - time * v[0], y - time * v[1]) for i, v in enumerate(np.asarray(velocity))]
    )


@functools.cache
def clip():
    return moving(0, np.array([[0.6, -0.3], [-1.2, 0.5]]), 2 * T)


@functools.partial(jax.jit, static_argnums=0)
def run(adapter, variables, coarse, observed):
    """The Gaussians and what they draw."""
    gaussians = adapter.apply(variables, coarse, observed=observed)
    return gaussians, gaussians.draw()


def still(adapter, coarse, observed):
    """Variables with all output kernels 0."""
    variables = jax.jit(adapter.init)(jax.random.key(0), coarse, observed=observed)
    outputs = ("velocity", "position", "scale", "rotation", "amplitude", "weight")
    return jax.tree.map_with_path(
        lambda path, leaf: 0 * leaf if path[-2].key in outputs else leaf, variables
    )


@pytest.mark.parametrize(
    "tracking",
    [{}, {"anchors": 2}, {"normalised": False, "weighting": 0.0}],
    ids=["default", "two anchors", "added"],
)
def test_at_rest_it_draws_the_last_frame(tracking):
    observed = jnp.repeat(clip()[:, :1], T, axis=1)
    adapter = PredGS(config(search=0, **tracking))
    variables = still(adapter, observed, observed)
    gaussians, drawn = run(adapter, variables, observed, observed)
    assert gaussians.mean.shape == (2, T, tracking.get("anchors", 1) * H * W, 2)
    np.testing.assert_allclose(drawn.frames, observed, atol=1e-5)
    if drawn.coverage is not None:
        np.testing.assert_allclose(drawn.coverage[:, :, 2:-2, 2:-2], 1, atol=0.01)


def test_fewer_gaussians_draw_a_smooth_frame():
    observed = jnp.repeat(clip()[:, :1] * 0.3, T, axis=1)
    adapter = PredGS(predgs.create("tracked", window=9, tracking=TrackingConfig(spacing=2)))
    shapes = jax.eval_shape(
        lambda: adapter.init_with_output(jax.random.key(0), observed, observed=observed)[0]
    )
    assert shapes.mean.shape == (2, T, (H // 2) * (W // 2), 2)


def test_any_horizon_and_any_resolution():
    observed, coarse = clip()[:, :T], jnp.zeros((2, 2 * T + 1, H, W, C))
    adapter = PredGS(config())
    variables = still(adapter, coarse, observed)
    gaussians, drawn = run(adapter, variables, coarse, observed)
    assert drawn.frames.shape == coarse.shape
    large = gaussians.draw(2 * H, 2 * W)
    assert large.frames.shape == (2, 2 * T + 1, 2 * H, 2 * W, C)
    # Every second pixel of the large frame lies half a small pixel beside one of the small frame.
    middle = (slice(None), 0, slice(4, -4), slice(4, -4))
    pooled = large.frames.reshape(2, -1, H, 2, W, 2, C).mean((3, 5))
    assert float(jnp.abs(pooled[middle] - drawn.frames[middle]).mean()) < 0.05
    np.testing.assert_allclose(large.coverage[:, 0].mean(), drawn.coverage[:, 0].mean(), rtol=0.02)
    # However fast, a Gaussian goes no further than half the frame.
    fast = jax.tree.map(jnp.copy, variables)
    fast["params"]["motion"]["velocity"]["bias"] += 100.0
    moved = run(adapter, fast, coarse, observed)[0].pixels()[0]
    moved = (
        moved.reshape(2, -1, H, W, 2)
        - jnp.stack(jnp.meshgrid(jnp.arange(W), jnp.arange(H)), -1)[None, None]
    )
    furthest = jnp.abs(moved).max((0, 1, 2, 3))
    assert float(furthest[1]) <= H / 2 < 2 * T * 2
    assert float(furthest[1]) > H / 4
    # The first frame of a longer prediction is that of a shorter one.
    _, short = run(adapter, variables, coarse[:, :1], observed)
    np.testing.assert_allclose(short.frames[:, 0], drawn.frames[:, 0], atol=1e-5)


class Fading(nn.Module):
    """A predictor with one parameter: the last frame, darker by a factor a frame."""

    @nn.compact
    def __call__(self, frames, horizon=None, *, train=False):
        factor = self.param("factor", nn.initializers.constant(0.9), ())
        steps = jnp.arange(1, (horizon or frames.shape[1]) + 1).reshape(1, -1, 1, 1, 1)
        return frames[:, -1:] * factor**steps


@functools.cache
def behind_a_predictor():
    """PDR with the tracked adapter and its gate, variables, output and gradients at the start."""
    model = PDR(Fading(), PredGS(config()))

    @jax.jit
    def start(key, frames):
        variables = model.init(key, frames[:, :T])

        def loss(params):
            output = model.apply({**variables, "params": params}, frames[:, :T], method="decompose")
            return jnp.mean((output.prediction - frames[:, T:]) ** 2), output

        grads, output = jax.grad(loss, has_aux=True)(variables["params"])
        return variables, output, grads

    return model, *start(jax.random.key(0), clip())


def test_every_head_has_a_gradient_at_the_start():
    *_, grads = behind_a_predictor()
    for part in ("motion", "changes"):
        for name, head in grads["adapter"][part].items():
            assert float(optax.tree.norm(head)) > 1e-8, f"{part}/{name}"
    assert float(optax.tree.norm(grads["fuse_gate"])) > 1e-6


def test_the_gate_lies_between_both_frames():
    _, _, output, _ = behind_a_predictor()
    assert 0 <= float(output.gate.min()) < float(output.gate.max()) <= 1
    mixed = output.coarse + output.gate * (output.rendered - output.coarse)
    np.testing.assert_allclose(output.prediction, mixed, atol=1e-6)


def test_a_shut_gate_leaves_the_plain_predictor_exactly():
    model, variables, *_ = behind_a_predictor()
    shut = jax.tree.map(jnp.copy, variables)
    shut["params"]["fuse_gate"]["out"]["bias"] += 1000.0
    output = jax.jit(functools.partial(model.apply, method="decompose"))(shut, clip()[:, :T])
    np.testing.assert_array_equal(output.prediction, output.coarse)


def test_a_blank_frame_does_no_harm():
    """A fade, no rain, a night without taxis: nothing in it tells of motion."""
    model, variables, *_ = behind_a_predictor()

    @jax.jit
    def start(params, frames):
        def loss(params):
            output = model.apply({**variables, "params": params}, frames, method="decompose")
            return jnp.abs(output.prediction - clip()[:, T:]).mean(), output.rendered

        return jax.grad(loss, has_aux=True)(params)

    for before, last in ((clip()[:, : T - 1], 0.0), (clip()[:, : T - 1], 1.0), (0.5, 0.52)):
        frames = jnp.full((2, T, H, W, C), last).at[:, :-1].set(before)
        grads, rendered = start(variables["params"], frames)
        assert float(jnp.abs(rendered).max()) < 1.5
        assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(grads))


@pytest.mark.parametrize("logit", [-1e4, 1e4])
def test_a_gate_at_its_ends_has_finite_gradients(logit):
    """Also where nothing was drawn."""
    gate = GatedFusion(start=0.1)
    coarse, rendered = jnp.full((1, 2, 4, 4, 1), 0.3), jnp.full((1, 2, 4, 4, 1), 0.6)
    coverage = jnp.zeros((1, 2, 4, 4, 1)).at[..., :2, :].set(1.0)
    variables = gate.init(jax.random.key(0), coarse, rendered, coverage)
    variables["params"]["out"]["bias"] += logit

    def total(variables, coverage):
        return gate.apply(variables, coarse, rendered, coverage).prediction.sum()

    value, grads = jax.value_and_grad(total, argnums=(0, 1))(variables, coverage)
    assert np.isfinite(value)
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(grads))


@pytest.mark.rest
def test_a_moving_texture_is_followed():
    """To 0.1 pixels after training, where block matching alone is further off."""
    motion = {"drift": 0.0, "stretch": 0.0, "weighting": 0.0, "recolour": False}
    adapter = PredGS(predgs.create("tracked", hidden=16, tracking=TrackingConfig(**motion)))
    speeds = jax.random.uniform(jax.random.key(1), (8, 2), minval=-1.2, maxval=1.2)
    frames = moving(2, speeds, T + 2)
    observed, future = frames[:, :T], frames[:, T:]
    coarse = jnp.repeat(observed[:, -1:], 2, axis=1)
    variables = jax.jit(adapter.init)(jax.random.key(0), coarse, observed=observed)
    tx = optax.adam(optax.cosine_decay_schedule(1e-2, 100))

    def inside(x, margin):
        return x[:, :, margin:-margin, margin:-margin]

    def loss(params):
        drawn = adapter.apply({"params": params}, coarse, observed=observed).render()
        return jnp.mean(inside(drawn - future, 4) ** 2)

    def step(carry, _):
        params, state = carry
        updates, state = tx.update(jax.grad(loss)(params), state, params)
        return (optax.apply_updates(params, updates), state), None

    def error(params):
        """Of the velocity, in pixels a frame."""
        gaussians, _ = run(adapter, {"params": params}, coarse, observed)
        velocity = jnp.diff(gaussians.pixels()[0], axis=1).reshape(8, 1, H, W, 2)
        off = inside(velocity - speeds.reshape(8, 1, 1, 1, 2), 5)
        return float(jnp.linalg.norm(off, axis=-1).mean())

    start = (variables["params"], tx.init(variables["params"]))
    (params, _), _ = jax.jit(lambda carry: jax.lax.scan(step, carry, length=100))(start)
    assert error(params) < 0.1 < error(variables["params"])


def test_it_needs_observed_frames():
    with pytest.raises(ValueError, match="observed=None"):
        PredGS(config()).init(jax.random.key(0), clip())


@pytest.mark.parametrize(
    "field",
    [
        {"spacing": 0},
        {"anchors": 0},
        {"sigma": 1.5},
        {"patch": 4},
        {"drift": -1.0},
        {"normalised": False},
    ],
    ids=str,
)
def test_bad_fields_are_refused(field):
    name = "weighting" if "normalised" in field else next(iter(field))
    with pytest.raises(ValueError, match=rf"tracking\.{name}="):
        TrackingConfig(**field)
    with pytest.raises(ValueError, match="num_gaussians=400"):
        PredGSConfig(heads="tracked")
    with pytest.raises(ValueError, match="window=7: expected 9 or more"):
        predgs.create("tracked", window=7, tracking=TrackingConfig(spacing=2))
