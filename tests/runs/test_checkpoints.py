"""Checkpoints are restored as they were saved."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdr_jax.runs.checkpoints import Checkpoints
from pdr_jax.train import TrainState


@pytest.mark.parametrize("averaged", [False, True])
def test_a_checkpoint_gives_the_variables_of_evaluation(averaged, tmp_path):
    latest = {"params": {"a": jnp.ones(2)}, "batch_stats": {"b": jnp.ones(3)}}
    averages = jax.tree.map(jnp.zeros_like, latest)
    state = TrainState(
        jnp.zeros((), jnp.int32), **latest, opt_state=(), ema=averages if averaged else None
    )
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(state, data=None, config={}, score=1.0)
    with Checkpoints(tmp_path) as checkpoints:
        jax.tree.map(np.testing.assert_array_equal, checkpoints.restore(state)[0], state)
        step, variables = checkpoints.variables()
    assert step == 0
    jax.tree.map(np.testing.assert_array_equal, variables, averages if averaged else latest)
