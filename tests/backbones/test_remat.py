"""Blocks that are computed again for their gradient: the same figures in less memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdr_jax import backbones

SHELL = {"hid_S": 4, "hid_T": 8, "N_S": 2, "N_T": 3}
OPTIONS = {
    "tau": {**SHELL, "drop_path": 0.3},
    "convlstm": {"num_hidden": (8, 8), "filter_size": 3, "patch_size": 2},
    "simvp_incepu": SHELL,
    "predformer": {"dim": 16, "heads": 2, "dim_head": 8, "Ndepth": 2, "patch_size": 4},
    "wast": {"encoder_dim": 8, "block_list": (2, 2, 2)},
    "earthformer": {"base_units": 16, "enc_depth": (2, 2), "dec_depth": (2, 2)},
}
MARKS = {"convlstm": (), "earthformer": pytest.mark.slow, "wast": pytest.mark.slow}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=MARKS.get(name, pytest.mark.rest)) for name in OPTIONS]
)
def test_remat_changes_memory_and_no_figures(name):
    shape = (6, 16, 16, 1)
    frames = np.random.default_rng(0).random((4, *shape), np.float32)
    plain = backbones.create(name, shape, **OPTIONS[name])
    variables = jax.jit(plain.init)(jax.random.key(0), frames)

    def gradient(module):
        def objective(params):
            predicted, _ = module.apply(
                {**variables, "params": params},
                frames,
                train=True,
                rngs={"dropout": jax.random.key(1)},
                mutable=["batch_stats", "losses", "warmup"],
            )
            return jnp.square(predicted).mean()

        lowered = jax.jit(jax.grad(objective)).lower(variables["params"])
        compiled = lowered.compile(compiler_options={"xla_backend_optimization_level": 0})
        return compiled(variables["params"]), compiled.memory_analysis().temp_size_in_bytes

    again = plain.clone(remat=True)
    names = jax.eval_shape(again.init, jax.random.key(0), frames)
    assert jax.tree.structure(names) == jax.tree.structure(variables)
    (expected, before), (found, after) = gradient(plain), gradient(again)
    assert after < 0.8 * before
    for ours, theirs in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
