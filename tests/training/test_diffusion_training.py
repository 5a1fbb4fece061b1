"""Training with the residual diffusion: beside the predictor, behind a frozen one, over devices."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_runs import SMALL, moving_blobs

from pdr_datasets import Units
from pdr_jax import losses, recipes
from pdr_jax.diffusion import DiffusionConfig
from pdr_jax.sharding import make_mesh, shard_batch, state_shardings, traced_for
from pdr_jax.task import optimisation
from pdr_jax.train import ClipSpec, init_state, train_step

CLIP = ClipSpec(in_length=2, horizon=2, units=Units())
TINY = DiffusionConfig(widths=(8,), steps=2)
FRAMES = moving_blobs(8)


def make(adapter="diffusion", config=TINY, **fields):
    """The state before the first step of a small run, and its jitted step."""
    sizes = {"hid_S": 4, "hid_T": 8, "N_S": 2, "N_T": 2}  # ConvMixer compiles fastest
    settings = {**SMALL, "backbone": "simvp_convmixer", "backbone_options": sizes, "loss": "mse"}
    settings |= {"learning_rate": 3e-3, "schedule": "constant", "diffusion": config}
    recipe = recipes.create("arrays", adapter=adapter, **settings | fields)
    model = recipe.build(FRAMES.shape[2:])
    tx = optimisation(recipe, len(FRAMES)).tx
    init = jax.jit(functools.partial(init_state, model, tx, clip=CLIP, seed=0, ema=True))
    step = functools.partial(
        train_step,
        model=model,
        loss=losses.create("mse"),
        tx=tx,
        clip=CLIP,
        ema_decay=0.9,
        accumulate=recipe.accumulate,
    )
    return model, init(FRAMES), step


def same(one, two):
    return [
        np.array_equal(a, b)
        for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True)
    ]


def test_a_frozen_predictor_keeps_every_bit():
    config = dataclasses.replace(TINY, freeze=True)
    _, before, step = make(config=config, init_from="runs/plain", weight_decay=0.1)
    state, step = before, jax.jit(step)
    for _ in range(3):
        state, logs = step(state, FRAMES)
    for one, two in ((before, state), (before.ema, state.ema)):
        one, two = (x if isinstance(x, dict) else vars(x) for x in (one, two))
        for name in ("params", "batch_stats"):
            assert all(same(one[name]["backbone"], two[name]["backbone"])), name
    assert not all(same(before.params["residual"], state.params["residual"]))
    assert not all(same(before.ema["params"]["residual"], state.ema["params"]["residual"]))
    assert logs["grad_norm/backbone"] == 0 < logs["grad_norm/residual"]
    moments = [leaf for leaf in jax.tree.leaves(state.opt_state) if leaf.ndim]
    assert len(moments) == 2 * len(jax.tree.leaves(state.params["residual"]))


@pytest.fixture(scope="module")
def joint():
    """The state before the first step of a joint training, its step, and that step jitted."""
    _, state, step = make()
    return state, step, jax.jit(step)


@pytest.mark.rest
def test_both_learn_together_and_the_predictor_as_if_alone(joint):
    both, _, together = joint
    _, plain, alone = make("none")
    alone, terms = jax.jit(alone), []
    for _ in range(40):
        both, logs = together(both, FRAMES)
        plain, expected = alone(plain, FRAMES)
        deterministic = logs["loss"] - logs["loss/residual"]
        np.testing.assert_allclose(deterministic, expected["loss"], rtol=1e-3, atol=1e-5)
        terms.append((float(deterministic), float(logs["loss/residual"])))
    deterministic, denoising = np.transpose(terms)
    assert deterministic[-1] < 0.5 * deterministic[0]
    assert np.mean(denoising[-5:]) < 0.8 * np.mean(denoising[:5])
    parts = (jax.tree.leaves(state.params["backbone"]) for state in (plain, both))
    for one, two in zip(*parts, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-2, atol=1e-3)


@pytest.mark.rest
def test_a_step_is_the_same_over_devices(joint):
    """Diffusion times, noise and the scale are of the batch, however it is shared."""
    state, step, single = joint
    one, expected = single(state, FRAMES)
    mesh = make_mesh(devices=4)
    placed = jax.device_put(state, state_shardings(mesh, state))
    four, logs = jax.jit(traced_for(mesh, step))(placed, shard_batch(mesh, FRAMES))
    for name in ("loss", "loss/residual", "grad_norm/residual"):
        np.testing.assert_allclose(logs[name], expected[name], rtol=1e-4)
    scales = (each.batch_stats["residual"]["scale"]["square"] for each in (one, four))
    np.testing.assert_allclose(*scales, rtol=1e-5)


@pytest.mark.rest
def test_bfloat16_remat_and_micro_batches():
    _, state, step = make(dtype="bfloat16", remat=True, accumulate=2)
    after, logs = jax.jit(step)(state, FRAMES)
    for one, two in zip(jax.tree.leaves(state), jax.tree.leaves(after), strict=True):
        assert (one.shape, one.dtype, one.weak_type) == (two.shape, two.dtype, two.weak_type)
    assert 0.7 < logs["loss/residual"] < 1.3  # of a network that predicts 0
    assert jnp.isfinite(logs["loss"])
    assert not all(same(state.params["residual"], after.params["residual"]))
