"""A backbone with the public code's bugs in place of one without them, if both compute the same."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from pdr_jax.backbones import Backbone

TOLERANCE = 1e-5  # between two ways to compute the same, relative to the largest value


def faithful(module: Backbone, variables: Mapping[str, Any]) -> tuple[Backbone, dict[str, Any]]:
    """The backbone with faithful=True and its variables; both are run to see that they agree.

    Parameters that only the faithful backbone has, and never uses, are zeros.

    Args:
      module: a backbone with faithful=False.
      variables: its variables.

    Raises:
      ValueError: the faithful backbone computes something else.
    """
    here, there = module.clone(dtype=None), module.clone(dtype=None, faithful=True)
    # Two clips far beyond [0, 1] show a dependence on the batch, and clipping.
    frames = 2 * np.random.default_rng(0).standard_normal((2, *module.in_shape), np.float32)
    wanted = flatten_dict(jax.eval_shape(there.init, jax.random.key(0), frames))
    found = flatten_dict(dict(variables))
    if found.keys() <= wanted.keys():
        padded = unflatten_dict(
            {path: found.get(path, jnp.zeros(leaf.shape)) for path, leaf in wanted.items()}
        )
        horizon = module.in_shape[0] + 1  # longer than one pass
        ours, theirs = (
            jax.jit(net.apply, static_argnums=2)(values, frames, horizon)
            for net, values in ((here, variables), (there, padded))
        )
        if jnp.abs(ours - theirs).max() <= TOLERANCE * jnp.abs(ours).max():
            return there, padded
    raise ValueError(
        "backbone_options.faithful=False: the public PyTorch code would compute something else "
        f"from these weights ({module.card.corrected}) Only runs with faithful=True can be exported"
    )
