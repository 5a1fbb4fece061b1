"""A step that eight devices share: what moves between them, micro-batches, split parameters."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pdr_datasets import Units
from pdr_jax import PDR, backbones, losses, sampling, sharding
from pdr_jax.backbones.layers.dropout import Dropout
from pdr_jax.sharding import make_mesh, shard_batch, state_shardings, traced_for
from pdr_jax.train import ClipSpec, init_state, train_step

CLIP = ClipSpec(in_length=2, horizon=2, units=Units())
FRAMES = np.random.default_rng(0).integers(0, 256, (16, 4, 8, 8, 1), dtype=np.uint8)
COLLECTIVES = r"= (\S+|\(.*?\)) (all-\w+|reduce-scatter|collective-\w+)(?:-start)?\("


def lower(devices, accumulate=1, split=False, dtype=None):
    """The step of a recurrent backbone, its first state and its batch."""
    backbone = backbones.create(
        "convlstm", (2, 8, 8, 1), num_hidden=(8,), filter_size=3, patch_size=2, dtype=dtype
    )
    model, tx, mesh = PDR(backbone), optax.sgd(0.1), make_mesh(devices)
    start = functools.partial(init_state, model, tx, clip=CLIP, seed=0)
    shardings = state_shardings(mesh, jax.eval_shape(start, FRAMES), split=split)
    state = jax.jit(start, out_shardings=shardings)(FRAMES)
    step = functools.partial(
        train_step,
        model=model,
        loss=losses.create("l1_ssim"),
        tx=tx,
        clip=CLIP,
        sampling=sampling.create("scheduled"),
        accumulate=accumulate,
    )
    frames = shard_batch(mesh, FRAMES)
    jitted = jax.jit(traced_for(mesh, step), out_shardings=(shardings, None))
    return jitted.lower(state, frames), state, frames


@pytest.fixture
def small_arrays_are_split(monkeypatch):
    monkeypatch.setattr(sharding, "SPLIT_FROM", 256)


def test_gradients_are_summed_once_and_split_parameters_gathered_once(small_arrays_are_split):
    lowered, state, frames = lower(8, accumulate=2, split=True)
    split = [leaf for leaf in jax.tree.leaves(state.params) if not leaf.is_fully_replicated]
    assert all(leaf.addressable_data(0).size * 8 == leaf.size >= 256 for leaf in split)
    step = lowered.compile()
    before, entry = step.as_text().split("\nENTRY ")  # the bodies of loops come before
    assert not re.findall(COLLECTIVES, before)
    moved = [name for _, name in re.findall(COLLECTIVES, entry)]
    assert moved.count("all-gather") == len(split) > 1
    assert moved.count("all-reduce") == 1
    assert len(moved) == len(split) + 1

    shared, logs = step(state, frames)
    lowered, state, frames = lower(1)
    alone, expected = lowered.compile()(state, frames)
    for key, value in expected.items():
        np.testing.assert_allclose(logs[key], value, rtol=1e-5)
    for ours, theirs in zip(*map(jax.tree.leaves, (shared.params, alone.params)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)


def test_gradients_of_a_bfloat16_backbone_are_summed_in_float32():
    text = lower(8, dtype=jnp.bfloat16)[0].as_text()
    assert "bf16" in text
    sums = re.findall(r'stablehlo.all_reduce"(?:.|\n)*?\}\) : \((.*?)\)', text)
    assert len(sums) > 3
    assert all(kind.endswith("f32>") for kind in sums)


def test_dropout_is_the_same_for_a_clip_on_any_device():
    x = np.random.default_rng(1).random((8, 3, 2), np.float32)

    def mean(key, clips):
        return Dropout(0.5, deterministic=False).apply({}, clips, rngs={"dropout": key}).mean()

    shared = sharding.averaged_over_devices(mean)
    one, eight = (
        jax.jit(traced_for(mesh, shared))(jax.random.key(0), shard_batch(mesh, x))
        for mesh in map(make_mesh, (1, 8))
    )
    assert eight == pytest.approx(float(one), rel=1e-6)


def test_large_arrays_are_split_along_their_largest_axis_that_the_devices_divide():
    shapes = {"kernel": (3, 3, 64, 128), "odd": (9, 9, 81), "small": (128,), "tall": (4096, 7)}
    state = {name: jax.ShapeDtypeStruct(shape, "float32") for name, shape in shapes.items()}
    found = state_shardings(make_mesh(8), state, split=True)
    assert {name: tuple(sharding.spec) for name, sharding in found.items()} == {
        "kernel": (None, None, None, "data"),
        "odd": (),
        "small": (),
        "tall": ("data",),
    }
    whole = state_shardings(make_mesh(8), state)
    assert all(sharding.is_fully_replicated for sharding in whole.values())
