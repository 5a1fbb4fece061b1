"""Evaluation: streams a split through a model and its metrics, and asks what the renderer adds."""

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pdr_jax import metrics
from pdr_jax.pdr import PDR, PDROutput
from pdr_jax.train import ClipSpec

Predict = Callable[[jax.Array, int], jax.Array]
Batches = Callable[[], Iterable[Mapping[str, np.ndarray]]]


def padded(frames: np.ndarray, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
    """A short batch filled up with its last clip, and a mask of which clips count.

    So the model is compiled once, and any batch size gives the same figures.
    """
    count = len(frames)
    fill = np.repeat(frames[-1:], batch_size - count, axis=0)
    return np.concatenate([frames, fill]), np.arange(batch_size) < count


def evaluate(
    predict: Predict,
    batches: Batches,
    *,
    clip: ClipSpec,
    batch_size: int,
    evaluator: metrics.Evaluator,
    place: Callable[[np.ndarray], jax.Array] = jnp.asarray,
) -> np.ndarray:
    """Updates `evaluator` with every clip; returns their ids, in its order.

    Args:
      predict: (observed frames, horizon) -> predicted frames, both in model units.
      batches: called for a fresh pass over {"frames": (B, T + T', H, W, C) in stored units}.
      clip: how to split and scale the clips.
      batch_size: of the batches; the last may be smaller.
      evaluator: where the figures accumulate.
      place: puts a batch on the devices; `sharding.shard_batch` over several.
    """
    ids = []
    for batch in batches():
        frames, valid = padded(np.asarray(batch["frames"]), batch_size)
        observed, target = clip.split(place(frames))
        evaluator.update(predict(observed, clip.horizon), target, valid)
        ids.append(batch["id"])
    return np.concatenate(ids)


def persistence(observed: jax.Array, horizon: int) -> jax.Array:
    """The last observed frame, repeated: the control that no predictor may lose to."""
    return jnp.repeat(observed[:, -1:], horizon, axis=1)


@functools.partial(jax.jit, static_argnames=("model", "horizon", "method"))
def apply(
    model: PDR, variables: Mapping[str, Any], observed: jax.Array, horizon: int, method: str
) -> Any:
    """A method of the model, compiled once for each model, shape and horizon."""
    return model.apply(variables, observed, horizon, method=method)


@functools.partial(jax.jit, static_argnames="model")
def _fuse(
    model: PDR, variables: Mapping[str, Any], coarse: jax.Array, rendered: jax.Array
) -> jax.Array:
    return jnp.asarray(model.apply(variables, coarse, rendered, method="fuse"))


def predictor(model: PDR, variables: Mapping[str, Any]) -> Predict:
    """The model as a function of (observed frames, horizon)."""
    return lambda observed, horizon: apply(model, variables, observed, horizon, "__call__")


def ablations(
    model: PDR, variables: Mapping[str, Any], batches: Batches, *, clip: ClipSpec, batch_size: int
) -> dict[str, Predict]:
    """Predictors that tell whether the rendered frames Y are used; {} without adapter.

    * "coarse": the backbone's frames alone, before the fusion.
    * "mean Y": Y replaced by its mean over all frames of the split. As good as the model itself:
      the branch draws one static picture.
    * "shuffled Y": Y taken from another clip. As good as the model itself: Y is ignored.
    """
    if model.adapter is None:
        return {}

    def decompose(observed: jax.Array, horizon: int) -> PDROutput:
        return apply(model, variables, observed, horizon, "decompose")

    total, count = np.zeros(()), 0
    for batch in batches():
        frames, valid = padded(np.asarray(batch["frames"]), batch_size)
        rendered = decompose(clip.split(jnp.asarray(frames))[0], clip.horizon).rendered
        chosen = np.asarray(rendered, np.float64)[valid]
        total, count = total + chosen.sum(axis=(0, 1)), count + chosen.shape[0] * chosen.shape[1]
    mean = jnp.asarray(total / count, jnp.float32)[None, None]

    def with_rendered(replace: Callable[[Any], jax.Array]) -> Predict:
        def predict(observed: jax.Array, horizon: int) -> jax.Array:
            output = decompose(observed, horizon)
            return _fuse(model, variables, output.coarse, replace(output.rendered))

        return predict

    return {
        "coarse": lambda observed, horizon: decompose(observed, horizon).coarse,
        "mean Y": with_rendered(lambda rendered: jnp.broadcast_to(mean, rendered.shape)),
        "shuffled Y": with_rendered(lambda rendered: jnp.roll(rendered, batch_size // 2, axis=0)),
    }
