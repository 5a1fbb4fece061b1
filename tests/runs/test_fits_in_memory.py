"""Trainings that cannot fit in memory are refused from shapes alone."""

import dataclasses

import jax
import pytest

from pdr_jax import predgs, recipes
from pdr_jax.runs import memory
from pdr_jax.train import TrainState


@pytest.fixture
def gibibyte(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 2**30)


def test_the_memory_is_that_of_a_computer():
    assert 2**28 < memory.available() < 2**50


@pytest.mark.parametrize(
    ("change", "size"),
    [
        ({"batch_size": 10**9}, "1000000000 on a device"),
        ({"out_length": 10_000, "batch_size": 3}, "3 on a device"),
    ],
)
def test_batches_larger_than_memory_are_refused(change, size, gibibyte):
    recipe = recipes.create("arrays", adapter="none")
    memory.check_batch(recipe, (64, 64, 3))
    with pytest.raises(ValueError, match=f"^batch_size=.*that fit in 1 GiB of memory; {size}"):
        memory.check_batch(dataclasses.replace(recipe, **change), (64, 64, 3))


def test_gaussians_count(gibibyte):
    config = predgs.create("adaptive", num_gaussians=10**6)
    recipe = recipes.create("arrays", adapter="adaptive", predgs=config, out_length=10)
    with pytest.raises(ValueError, match="10, 1000000 Gaussians and frames of 8x8x1"):
        memory.check_batch(recipe, (8, 8, 1))


@pytest.mark.parametrize(
    ("part", "field"), [("backbone", "backbone_options"), ("adapter", "predgs")]
)
def test_models_larger_than_memory_are_refused(part, field, gibibyte):
    recipe = recipes.create("arrays")
    params = {"backbone": jax.ShapeDtypeStruct((8,), "float32")}
    memory.check_state(recipe, TrainState(0 * jax.numpy.ones(()), params, {}, params))
    params[part] = jax.ShapeDtypeStruct((2**26 + 1, 2), "float32")
    state = TrainState(0 * jax.numpy.ones(()), params, {}, {"mu": params})
    with pytest.raises(ValueError, match=f"^{field}: expected a model that fits in 1 GiB"):
        memory.check_state(recipe, state)


def test_micro_batches_need_less(gibibyte):
    recipe = recipes.create("arrays", adapter="none", out_length=10_000, batch_size=3)
    memory.check_batch(dataclasses.replace(recipe, accumulate=3), (64, 64, 3))
