"""The predictor as one StableHLO program, which runs without this package."""

import dataclasses
import importlib.util
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import export

from pdr_jax.task import Task

PLATFORMS = ("cpu", "cuda", "tpu")
KNOWN = (*PLATFORMS, "rocm")


def stored_predictor(task: Task, variables: Mapping[str, Any], horizon: int) -> Any:
    """The jitted function from observed to predicted frames, in stored units.

    It draws with XLA's form of the renderer, which every platform has.

    Args:
      task: the model, and the units of its frames.
      variables: of the model; they become constants of the function.
      horizon: frames to predict.

    Returns:
      A function (B, T, H, W, C) -> (B, horizon, H, W, C), float32.
    """
    recipe = dataclasses.replace(task.recipe, renderer="xla")
    model, clip = recipe.build(task.dataset.frame_shape), task.clip

    def predict(frames: jax.Array) -> jax.Array:
        observed = clip.filled(clip.units.normalise(frames))
        return clip.units.denormalise(model.apply(variables, observed, horizon))

    return jax.jit(predict)


def serialise(
    task: Task,
    variables: Mapping[str, Any],
    *,
    horizon: int | None = None,
    platforms: Sequence[str] = PLATFORMS,
) -> bytes:
    """The StableHLO artifact of `stored_predictor`, for any batch; `jax.export` reads it.

    Args:
      task: the model, and the size and units of its frames.
      variables: of the model; the artifact holds them.
      horizon: frames to predict; the recipe's by default.
      platforms: where it will run: "cpu", "cuda", "rocm" or "tpu".

    Raises:
      ValueError: the horizon is below 1, or a platform is unknown or named twice.
      ImportError: the package flatbuffers is not installed.
    """
    check(horizon, platforms)
    horizon = horizon or task.clip.horizon
    (batch,) = export.symbolic_shape("batch")
    shape = (batch, task.clip.in_length, *task.dataset.frame_shape)
    program = export.export(stored_predictor(task, variables, horizon), platforms=platforms)
    return bytes(program(jax.ShapeDtypeStruct(shape, jnp.float32)).serialize())


def check(horizon: int | None, platforms: Sequence[str]) -> None:
    """Checks, before any work, what `serialise` is asked for; raises as it does."""
    if horizon is not None and horizon < 1:
        raise ValueError(f"horizon={horizon}: expected 1 or more")
    for platform in platforms:
        if platform not in KNOWN:
            raise ValueError(f"platforms: {platform!r}; expected some of {', '.join(KNOWN)}")
    if not platforms or len({*platforms}) < len(platforms):
        raise ValueError(f"platforms={tuple(platforms)}: expected different ones, at least one")
    if importlib.util.find_spec("flatbuffers") is None:
        raise ImportError(
            "flatbuffers is not installed, and jax.export writes and reads programs with it: "
            "pip install 'pdr-jax[export]'"
        )
