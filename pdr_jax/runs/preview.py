"""A held-out clip and what the model makes of it, small enough to be logged at each checkpoint."""

import io
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from pdr_jax.evaluation import predictors
from pdr_jax.report import style
from pdr_jax.runs.loggers import Picture
from pdr_jax.sharding import on_host, shard_whole, traced_for
from pdr_jax.task import Task

_SIZE = 128
"""Pixels that a smaller frame is enlarged to, or nearly: each pixel by one whole number."""


def predict(
    task: Task, variables: Mapping[str, Any], mesh: jax.sharding.Mesh
) -> tuple[np.ndarray, np.ndarray]:
    """The first clip of the split that chooses the checkpoint, or else of the training clips.

    It is predicted in a batch as large as those that are scored, for which the model is compiled.

    Args:
      task: what is trained.
      variables: of the model.
      mesh: the devices that they lie on.

    Returns:
      The clip, (T + T', H, W, C) in model units, and the predicted frames, (T', H, W, C).
    """
    _, source = task.selection or ("train", task.train)
    clip = np.asarray(source[0]["frames"])[np.newaxis]
    frames, _ = predictors.padded(clip, task.recipe.batch_size)
    observed, target = task.clip.split(shard_whole(mesh, frames))
    predict = traced_for(mesh, predictors.predictor(task.model, variables))
    predicted = predict(observed, task.clip.horizon)
    observed, target, predicted = on_host((observed, target, predicted))
    return np.concatenate([observed[0], target[0]]), predicted[0]


def draw(clip: np.ndarray, predicted: np.ndarray, data_range: tuple[float, float]) -> list[Picture]:
    """The clip above what was predicted of it: over time from left to right, and as an animation.

    Args:
      clip: (T + T', H, W, C), observed frames and what followed.
      predicted: (T', H, W, C).
      data_range: values shown as black and white (or the ends of the heat map).

    Raises:
      ImportError: the extra `report` is not installed.
    """
    imageio = style.require("imageio.v3")
    low, high = style.check_range(data_range)
    above, below = (style.to_rgb(frames, low, high) for frames in (clip, predicted))
    below = np.concatenate([np.full_like(above[: len(clip) - len(predicted)], 235), below])
    height, width = clip.shape[1:3]
    line = np.full((len(clip), 1, width, 3), 255, np.uint8)
    pairs = np.concatenate([above, line, below], axis=1)
    pairs = np.pad(pairs, ((0, 0), (0, 0), (0, 1), (0, 0)), constant_values=255)
    zoom = max(1, _SIZE // max(height, width))
    pairs = pairs.repeat(zoom, 1).repeat(zoom, 2)
    strip = np.concatenate(list(pairs), axis=1)

    def picture(name: str, kind: str, pixels: np.ndarray, **options: Any) -> Picture:
        file = io.BytesIO()
        imageio.imwrite(file, pixels, extension=f".{kind}", **options)
        return Picture(name, file.getvalue(), kind, *pixels.shape[-3:-1])

    return [
        picture("clip/truth_above_prediction", "png", strip),
        picture("clip/animated", "gif", pairs, duration=200, loop=0),
    ]
