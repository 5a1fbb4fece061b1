"""Checkpoints are restored as they were saved."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdr_jax.runs.checkpoints import Checkpoints
from pdr_jax.runs.saved import DamagedError, Saved
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


def test_a_flipped_bit_among_the_numbers_is_told(tmp_path):
    """Orbax stores numbers without checksums, unless they are few."""
    noise = np.random.default_rng(0).normal(size=(100, 100)).astype(np.float32)
    state = TrainState(
        jnp.zeros((), jnp.int32), {"a": jnp.asarray(noise)}, batch_stats={}, opt_state=()
    )
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(state, data=None, config={}, score=1.0)
    files = [path for path in tmp_path.glob("0/state/**/d/*") if path.is_file()]
    numbers = max(files, key=lambda path: path.stat().st_size)
    content = bytearray(numbers.read_bytes())
    content[len(content) // 2] ^= 1
    numbers.write_bytes(content)
    with pytest.raises(DamagedError, match=r"params\.a does not hold the numbers that were saved"):
        Saved(tmp_path).restore(state)
