"""Futures that a model draws: n samples for every clip, repeatable clip by clip."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pdr_jax.pdr import PDR

# (observed frames (B, T, H, W, C), ids of the clips (B,), horizon) ->
# samples (n, B, horizon, H, W, C), both in model units.
Draw = Callable[[jax.Array, jax.Array, int], jax.Array]


def can_draw(model: PDR) -> bool:
    """Whether a model draws futures; others have their point prediction alone."""
    return bool(getattr(model, "probabilistic", False))


def drawer(model: PDR, variables: Mapping[str, Any], *, samples: int, seed: int) -> Draw:
    """Draws `samples` futures of each clip.

    A sample is a function of the seed, the clip's id and the sample's number alone: batches,
    devices and the number of samples do not change it (but for rounding).

    Args:
      model: one that `can_draw`: it reads the key stream "sample".
      variables: of the model.
      samples: n.
      seed: of all draws.
    """
    key = jax.random.key(seed)

    def draw(observed: jax.Array, ids: jax.Array, horizon: int) -> jax.Array:
        return _draw(model, variables, observed, ids, key, horizon, samples)

    return draw


def as_words(ids: np.ndarray) -> np.ndarray:
    """Ids of clips, (B,) int64, as what keys are made of: (B,) uint32."""
    return np.asarray(ids).astype(np.uint32)


@functools.partial(jax.jit, static_argnames=("model", "horizon", "samples"))
def _draw(
    model: PDR,
    variables: Mapping[str, Any],
    observed: jax.Array,
    ids: jax.Array,
    key: jax.Array,
    horizon: int,
    samples: int,
) -> jax.Array:
    """One sample of the whole batch after the other."""

    def sample(number: jax.Array) -> jax.Array:
        def of_clip(frames: jax.Array, clip: jax.Array) -> Any:
            own = jax.random.fold_in(jax.random.fold_in(key, clip), number)
            return model.apply(variables, frames[None], horizon, rngs={"sample": own})[0]

        return jax.vmap(of_clip)(observed, ids)

    return jax.lax.map(sample, jnp.arange(samples))
