"""Optimisers and schedules: PyTorch's and timm's recorded values, decay, clipping."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pdr_jax import optim

GOLDEN = np.load(Path(__file__).parents[1] / "golden/schedules.npz")
SETTINGS = json.loads(str(GOLDEN["config"]))
DEFAULTS = {
    "optimizer": "adamw",
    "learning_rate": 1e-2,
    "schedule": "constant",
    "total_steps": 100,
    "epochs": 10,
}


@pytest.mark.parametrize("name", [name for name in SETTINGS if name.startswith("cosine")])
def test_cosine_equals_timm(name):
    setting = SETTINGS[name]
    schedule = optim.cosine(
        setting["lr"], setting["epochs"], 7, warmup_epochs=setting["warmup_epoch"]
    )
    first, last = (
        np.asarray([schedule(7 * epoch + step) for epoch in range(setting["epochs"])])
        for step in (0, 6)
    )
    np.testing.assert_allclose(first, GOLDEN[name], rtol=5e-6)
    np.testing.assert_array_equal(first, last)  # constant within an epoch


@pytest.mark.parametrize("name", [name for name in SETTINGS if name.startswith("onecycle")])
def test_onecycle_equals_torch(name):
    setting = SETTINGS[name]
    steps = np.arange(setting["total_steps"])
    rate = jax.vmap(optim.onecycle(setting["max_lr"], len(steps)))(steps)
    beta1 = jax.vmap(optim.onecycle_beta1(len(steps)))(steps)
    np.testing.assert_allclose(rate, GOLDEN[f"{name}/lr"], atol=3e-7 * setting["max_lr"])
    np.testing.assert_allclose(beta1, GOLDEN[f"{name}/beta1"], atol=3e-7)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_onecycle_of_a_very_short_run(steps):
    values = [float(optim.onecycle(1.0, steps)(step)) for step in range(steps)]
    assert np.all(np.isfinite(values))
    assert max(values) <= 1.0 + 1e-6


def test_onecycle_cycles_beta1_in_the_optimiser():
    params = {"kernel": jnp.ones((2, 2))}
    tx, _ = optim.create(**{**DEFAULTS, "schedule": "onecycle"})
    state = tx.init(params)
    seen = []
    for _ in range(30):
        _, state = tx.update({"kernel": jnp.ones((2, 2))}, state, params)
        seen.append(float(state[0].hyperparams["b1"]))
    expected = [float(optim.onecycle_beta1(100)(step)) for step in range(30)]
    np.testing.assert_allclose(seen, expected, rtol=1e-6)
    assert seen[0] == pytest.approx(0.95)
    assert seen[29] == pytest.approx(0.85, abs=1e-3)


def test_adamw_is_adamw():
    params = {"kernel": jnp.asarray([[1.0, -2.0]])}
    grads = {"kernel": jnp.asarray([[0.3, 0.1]])}
    ours, _ = optim.create(**DEFAULTS, weight_decay=0.1)
    theirs = optax.adamw(1e-2, weight_decay=0.1)
    one, two = (tx.update(grads, tx.init(params), params)[0] for tx in (ours, theirs))
    np.testing.assert_allclose(one["kernel"], two["kernel"], rtol=1e-6)


def test_decay_of_kernels_spares_biases_positions_and_fusion():
    params = {
        "backbone": {"conv": {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}},
        "adapter": {"position_start": jnp.ones((4, 2)), "scale": {"out": {"kernel": jnp.ones(3)}}},
        "fuse_conv": {"conv": {"kernel": jnp.ones((2, 1))}},
    }
    zero = jax.tree.map(jnp.zeros_like, params)
    for decay, spared in (("kernels", True), ("all", False)):
        tx, _ = optim.create(**DEFAULTS, weight_decay=0.1, decay=decay)
        updates, _ = tx.update(zero, tx.init(params), params)
        assert float(updates["backbone"]["conv"]["kernel"][0, 0]) < 0
        assert float(updates["adapter"]["scale"]["out"]["kernel"][0]) < 0
        for part in (
            updates["backbone"]["conv"]["bias"],
            updates["adapter"]["position_start"],
            updates["fuse_conv"]["conv"]["kernel"],
        ):
            assert bool(jnp.all(part == 0)) is spared


def test_gradients_are_clipped_to_the_norm():
    params = {"kernel": jnp.zeros((1, 1))}
    tx, _ = optim.create(**{**DEFAULTS, "optimizer": "adam"}, clip_norm=1.0)
    state = tx.init(params)
    _, clipped = tx.update({"kernel": jnp.full((1, 1), 1e3)}, state, params)
    assert float(optax.tree_utils.tree_get(clipped, "mu")["kernel"][0, 0]) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optimizer": "sgd"}, "optimizer='sgd'"),
        ({"schedule": "step"}, "schedule='step'"),
        ({"learning_rate": 0.0}, "learning_rate=0.0"),
        ({"total_steps": 0}, "total_steps=0"),
    ],
)
def test_bad_settings_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        optim.create(**{**DEFAULTS, **change})
