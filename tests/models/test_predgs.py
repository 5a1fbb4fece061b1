import dataclasses
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pdr_jax import diagnostics, predgs
from pdr_jax.predgs import PredGS, PredGSConfig
from pdr_jax.predgs.redrawn import RunningStandardize

OTHERS = ("tracked", "adaptive")  # have tests of their own
PRESETS = tuple(name for name in predgs.PRESETS if name not in OTHERS)


def frames(height=16, width=24, channels=1, seed=0):
    """(2, 3, H, W, C) smooth frames in [0, 1], different from each other."""
    noise = jax.random.uniform(jax.random.key(seed), (6, height // 4, width // 4, channels))
    smooth = jax.image.resize(noise, (6, height, width, channels), "cubic")
    return jnp.clip(smooth, 0, 1).reshape(2, 3, height, width, channels)


def small(preset, **overrides):
    return predgs.create(
        preset, **{"num_gaussians": 48, "window": 15, "pool": 4, "hidden": 16, **overrides}
    )


@functools.cache
def start(preset, shape=(16, 24, 1)):
    """An adapter's variables and Gaussians at the start, their picture and its gradients."""
    adapter = PredGS(small(preset))

    def run(key, clip):
        def loss(params, stats):
            gaussians = adapter.apply({"params": params, **stats}, clip)
            picture = gaussians.render()
            return jnp.mean((picture - clip) ** 2), (gaussians, picture)

        variables = adapter.init(key, clip)
        stats = {name: tree for name, tree in variables.items() if name != "params"}
        grads, (gaussians, picture) = jax.grad(loss, has_aux=True)(variables["params"], stats)
        return variables, gaussians, picture, grads

    return jax.jit(run)(jax.random.key(0), frames(*shape))


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("shape", [(16, 24, 1), (24, 16, 3)])
def test_shapes_and_ranges(preset, shape):
    variables, gaussians, picture, _ = start(preset, shape)
    assert gaussians.mean.shape == (2, 3, 48, 2)
    assert gaussians.amplitude.shape == (2, 3, 48, shape[2])
    assert picture.shape == (2, 3, *shape)
    assert 0 < float(gaussians.scale.min()) <= float(gaussians.scale.max()) < 1
    assert float(jnp.abs(gaussians.rotation).max()) <= np.pi / 2
    clip = jax.ShapeDtypeStruct((2, 3, *shape), jnp.bfloat16)
    low = jax.eval_shape(PredGS(small(preset)).apply, variables, clip)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(low))


def test_paper_preset_has_the_papers_activations():
    _, gaussians, _, _ = start("paper")
    assert float(jnp.abs(gaussians.mean).max()) <= 1
    assert 0 < float(gaussians.amplitude.min()) < float(gaussians.amplitude.max()) < 1


@pytest.mark.parametrize("preset", PRESETS)
def test_every_head_has_a_gradient_at_the_start(preset):
    *_, grads = start(preset)
    norms = diagnostics.gradient_norms({"adapter": grads})
    assert set(norms) == set(diagnostics.HEADS)
    for head, norm in norms.items():
        assert float(norm) > 1e-6, head


@pytest.mark.parametrize("preset", ["robust", "robust_offset", "conv"])
def test_positions_hardly_move_at_the_start(preset):
    """Less than a pixel between frames, or the renderer shows noise before it shows frames."""
    clip = frames(64, 64)
    adapter = PredGS(small(preset, num_gaussians=256, hidden=64))

    @jax.jit
    def spread(key, clip):
        variables = adapter.init(key, clip)
        gaussians, _ = adapter.apply(variables, clip, train=True, mutable=["batch_stats"])
        return diagnostics.gaussian_statistics(gaussians)["position_std"]

    assert 0 < float(spread(jax.random.key(0), clip)) < 1


@pytest.mark.parametrize("preset", ["robust", "robust_offset", "conv"])
def test_overfits_frames_to_below_cubic_upsampling_of_its_input(preset):
    clip = frames(16, 16)
    adapter = PredGS(small(preset, num_gaussians=64, pool=8 if preset != "conv" else 4))
    pool = adapter.config.pool
    variables = jax.jit(adapter.init)(jax.random.key(0), clip)
    tx = optax.adam(5e-3)
    pooled = nn.avg_pool(clip.reshape(6, 16, 16, 1), (pool, pool), (pool, pool))
    upsampled = jax.image.resize(pooled, (6, 16, 16, 1), "cubic").reshape(clip.shape)
    cubic = float(jnp.mean((upsampled - clip) ** 2))

    def loss(params, stats):
        gaussians, updates = adapter.apply(
            {"params": params, "batch_stats": stats}, clip, train=True, mutable=["batch_stats"]
        )
        return jnp.mean((gaussians.render() - clip) ** 2), updates["batch_stats"]

    def step(carry, _):
        params, stats, opt_state = carry
        (value, stats), grads = jax.value_and_grad(loss, has_aux=True)(params, stats)
        updates, opt_state = tx.update(grads, opt_state, params)
        return (optax.apply_updates(params, updates), stats, opt_state), value

    params = variables["params"]
    start = (params, variables["batch_stats"], tx.init(params))
    _, losses = jax.jit(lambda carry: jax.lax.scan(step, carry, length=200))(start)
    assert float(losses[-1]) < 0.5 * cubic


def test_positions_start_from_the_pattern():
    clip = frames()
    bright = clip.at[:, :, 4:8, 4:8].set(5.0)
    config = small("robust", position_init="brightest", num_gaussians=16)
    adapter = PredGS(config)
    variables = jax.jit(adapter.init)(jax.random.key(0), clip, observed=bright)
    mean = jax.jit(adapter.apply)(variables, jnp.zeros_like(clip)).pixels()[0]
    assert bool(jnp.all((mean > 3) & (mean < 8)))


def test_conv_heads_are_local():
    """A change in one corner moves nothing in the other."""
    clip = frames(64, 64)
    adapter = PredGS(small("conv", num_gaussians=256))

    @jax.jit
    def draw(key, clips):
        variables = adapter.init(key, clips[0])
        return [adapter.apply(variables, clip).render() for clip in clips]

    before, after = draw(jax.random.key(0), [clip, clip.at[:, :, :4, :4].add(1.0)])
    changed = jnp.max(jnp.abs(after - before), axis=(0, 1, 4))
    assert float(changed[:8, :8].max()) > 1e-4
    assert float(changed[32:, 32:].max()) == 0


def test_conv_gaussians_lie_in_their_cells():
    clip = frames(16, 24)
    config = small("conv", num_gaussians=96, head_std=0.0)

    @jax.jit
    def means(key, clip):
        variables = jax.tree.map_with_path(
            lambda path, leaf: 0 * leaf if "out" in str(path) else leaf,
            PredGS(config).init(key, clip),
        )
        return PredGS(config).apply(variables, clip).pixels()[0]

    mean = means(jax.random.key(0), clip)[0, 0].reshape(4, 6, 4, 2)
    cell = np.floor((np.asarray(mean) + 0.5) / 4)
    np.testing.assert_array_equal(
        cell[..., 0], np.arange(6)[None, :, None].repeat(4, 0).repeat(4, 2)
    )
    np.testing.assert_array_equal(
        cell[..., 1], np.arange(4)[:, None, None].repeat(6, 1).repeat(4, 2)
    )


def test_running_standardize():
    module = RunningStandardize()
    x = 3 + 2 * jax.random.normal(jax.random.key(0), (64, 5))
    variables = module.init(jax.random.key(0), x, train=False)
    np.testing.assert_allclose(module.apply(variables, x, train=False), x, rtol=1e-3)
    out, variables = module.apply(variables, x, train=True, mutable=["batch_stats"])
    np.testing.assert_allclose(jnp.mean(out, 0), 0, atol=1e-4)
    np.testing.assert_allclose(jnp.std(out, 0), 1, rtol=1e-3)
    # The same in evaluation as in training, and the first batches average.
    np.testing.assert_allclose(module.apply(variables, x, train=False), out, atol=1e-5)
    _, variables = module.apply(variables, x + 2, train=True, mutable=["batch_stats"])
    np.testing.assert_allclose(variables["batch_stats"]["mean"], jnp.mean(x, 0) + 1, rtol=1e-4)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("window", 14),
        ("window", 1),
        ("num_gaussians", 0),
        ("pool", 0),
        ("head_std", -1.0),
        ("min_sigma", 2.0),
        ("position_init", "corners"),
        ("amplitude", "softplus"),
        ("heads", "attention"),
    ],
)
def test_bad_fields_are_refused(field, value):
    with pytest.raises(ValueError, match=f"{field}="):
        predgs.create("paper", **{"window": 15, field: value})


def test_bad_combinations_are_refused():
    with pytest.raises(ValueError, match="preset='papr'"):
        predgs.create("papr")
    with pytest.raises(ValueError, match="'poool' is no field"):
        predgs.create("paper", poool=3)
    with pytest.raises(ValueError, match="position_init='harris'"):
        predgs.create("conv", position_init="harris")
    clip = frames()
    with pytest.raises(ValueError, match="pool=5"):
        PredGS(small("paper", pool=5)).init(jax.random.key(0), clip)
    with pytest.raises(ValueError, match="num_gaussians=47"):
        PredGS(small("conv", num_gaussians=47)).init(jax.random.key(0), clip)


def test_the_defaults_are_the_papers():
    assert predgs.create("paper") == PredGSConfig()
    assert dataclasses.replace(PredGSConfig(), pool=2).pool == 2
