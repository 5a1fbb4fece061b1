"""What is evaluated: the model, the last frame repeated, and the model without its renderer."""

import functools
import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pdr_jax.pdr import PDR, PDROutput
from pdr_jax.sharding import on_host
from pdr_jax.train import ClipSpec

# (observed frames (B, T, H, W, C), horizon) -> predicted frames (B, horizon, H, W, C), both in
# model units.
Predict = Callable[[jax.Array, int], jax.Array]
# A fresh pass over a split: {"frames": (B, T + T', H, W, C) in stored units, "id": (B,)}.
Batches = Callable[[], Iterable[Mapping[str, np.ndarray]]]


class NotFiniteError(ValueError):
    """A predicted value is NaN or infinite."""


def padded(frames: np.ndarray, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
    """A short batch filled up with copies of its last clip, so that the model compiles once.

    Args:
      frames: (B, ...) with 1 <= B <= `batch_size`.
      batch_size: clips in a full batch.

    Returns:
      The full batch, (batch_size, ...), and a mask of the clips that count, (batch_size,) bool.
    """
    count = len(frames)
    fill = np.repeat(frames[-1:], batch_size - count, axis=0)
    return np.concatenate([frames, fill]), np.arange(batch_size) < count


@functools.partial(jax.jit, static_argnames=("model", "horizon", "method"))
def apply(
    model: PDR, variables: Mapping[str, Any], observed: jax.Array, horizon: int, method: str
) -> Any:
    """A method of the model, compiled once for each model, shape and horizon."""
    return model.apply(variables, observed, horizon, method=method)


@functools.partial(jax.jit, static_argnames="model")
def _fuse(
    model: PDR,
    variables: Mapping[str, Any],
    coarse: jax.Array,
    rendered: jax.Array,
    coverage: jax.Array | None,
) -> jax.Array:
    fused: Any = model.apply(variables, coarse, rendered, coverage, method="fuse")
    return jnp.asarray(fused.prediction)


def predictor(model: PDR, variables: Mapping[str, Any]) -> Predict:
    """The model as a predictor."""
    return lambda observed, horizon: apply(model, variables, observed, horizon, "__call__")


def persistence(observed: jax.Array, horizon: int) -> jax.Array:
    """The last observed frame, repeated: a control that every predictor should beat."""
    return jnp.repeat(observed[:, -1:], horizon, axis=1)


def ablations(
    model: PDR,
    variables: Mapping[str, Any],
    batches: Batches,
    others: Batches,
    *,
    clip: ClipSpec,
    batch_size: int,
    place: Callable[[np.ndarray], jax.Array] = jnp.asarray,
) -> dict[str, Predict]:
    """Predictors that tell whether the model uses its rendered frames Y; {} without adapter.

    * "coarse": the backbone's frames alone, before the fusion.
    * "mean Y": Y is replaced by its mean over all frames of the split. If this is as good as the
      model, the renderer draws one static picture.
    * "shuffled Y": Y and its coverage are taken from another clip. If this is as good as the
      model, Y is ignored.

    Args:
      model: PDR, or a plain predictor.
      variables: of the model.
      batches: the clips.
      others: for each clip, in the same order, the clip whose Y stands in for its own. "shuffled Y"
        takes one of these batches at each call, so it predicts whole passes over the clips.
      clip: how to split and scale them.
      batch_size: clips at a time; the last batch may be smaller.
      place: puts a batch on the devices.
    """
    if model.adapter is None:
        return {}

    def decompose(observed: jax.Array, horizon: int) -> PDROutput:
        return apply(model, variables, observed, horizon, "decompose")

    def observed_frames(batch: Mapping[str, np.ndarray]) -> tuple[jax.Array, np.ndarray]:
        frames, valid = padded(np.asarray(batch["frames"]), batch_size)
        return clip.split(place(frames))[0], valid

    total, count = np.zeros(()), 0
    for batch in batches():
        observed, valid = observed_frames(batch)
        rendered = decompose(observed, clip.horizon).rendered
        chosen = on_host(rendered).astype(np.float64)[valid]
        total, count = total + chosen.sum(axis=(0, 1)), count + chosen.shape[0] * chosen.shape[1]
    mean = np.asarray(total / count, np.float32)[None, None]
    passes = (batch for _ in itertools.count() for batch in others())

    def with_mean(observed: jax.Array, horizon: int) -> jax.Array:
        own = decompose(observed, horizon)
        drawn = np.broadcast_to(mean, own.coarse.shape)
        return _fuse(model, variables, own.coarse, drawn, own.coverage)

    def with_another(observed: jax.Array, horizon: int) -> jax.Array:
        another, _ = observed_frames(next(passes))
        drawn, coarse = decompose(another, horizon), decompose(observed, horizon).coarse
        return _fuse(model, variables, coarse, drawn.rendered, drawn.coverage)

    return {
        "coarse": lambda observed, horizon: decompose(observed, horizon).coarse,
        "mean Y": with_mean,
        "shuffled Y": with_another,
    }
