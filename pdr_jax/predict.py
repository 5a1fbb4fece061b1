"""Prediction without ground truth: arrays in, arrays out."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pdr_jax import evaluate as evaluation
from pdr_jax import run_folder
from pdr_jax.run import Task


def predict_array(
    task: Task,
    variables: Mapping[str, Any],
    frames: np.ndarray,
    *,
    horizon: int | None = None,
    batch_size: int = 16,
) -> np.ndarray:
    """Predicts the frames that follow.

    Args:
      task: of a run.
      variables: of its model.
      frames: (N, T, H, W, C), or (T, H, W, C) for one clip, in the data set's stored units (uint8
        images, kelvin); the last `in_length` frames are used. Any N.
      horizon: frames to predict; the recipe's by default.
      batch_size: clips at a time.

    Returns:
      (N, horizon, H, W, C), or without N if `frames` had none, of the dtype of `frames` and in its
      units; integers are rounded and clipped to their range.

    Raises:
      ValueError: the wrong rank, size, or too few frames; values that are not finite.
    """
    clip = task.clip
    single = frames.ndim == 4
    clips = frames[None] if single else frames
    if (
        clips.ndim != 5
        or clips.shape[2:] != task.dataset.frame_shape
        or clips.shape[1] < clip.in_length
    ):
        height, width, channels = task.dataset.frame_shape
        raise ValueError(
            f"frames has shape {frames.shape}; expected (N, {clip.in_length} or more, {height}, "
            f"{width}, {channels}), or one clip without N"
        )
    if not np.all(np.isfinite(clips)):
        raise ValueError("frames has values that are not finite; expected numbers everywhere")
    horizon = clip.horizon if horizon is None else horizon
    if horizon < 1:
        raise ValueError(f"horizon={horizon}: must be at least 1")
    predict = evaluation.predictor(task.model, variables)
    observed = clips[:, -clip.in_length :]
    results = [np.zeros((0, horizon, *task.dataset.frame_shape), np.float32)]
    for start in range(0, len(observed), batch_size):
        stored, valid = evaluation.padded(observed[start : start + batch_size], batch_size)
        future = clip.denormalise(predict(clip.normalise(stored), horizon))
        results.append(np.asarray(future)[valid])
    result = np.concatenate(results)
    if np.issubdtype(frames.dtype, np.integer):
        limits = np.iinfo(frames.dtype)
        result = np.clip(np.rint(result), limits.min, limits.max)
    result = result.astype(frames.dtype)
    return result[0] if single else result


def remarks(task: Task, frames: np.ndarray) -> list[str]:
    """What to know of a prediction from these frames: their units, and which of them are used."""
    (low, high), length = run_folder.stored_range(task.dataset), task.clip.in_length
    found = [f"frames are taken to be in stored units, {low:g}..{high:g}"]
    if (
        np.issubdtype(frames.dtype, np.floating)
        and low == 0
        and high > 1
        and frames.size
        and np.min(frames) >= 0
        and 0 < np.max(frames) <= 1
    ):
        found.append(
            f"warning: the input lies in [0, 1], but this run's frames are in 0..{high:g}: "
            f"multiply it by {high:g}"
        )
    if frames.ndim in (4, 5) and (given := frames.shape[-4]) > length:
        found.append(f"of {given} frames a clip, the last {length} are used")
    return found


def predict_file(
    task: Task,
    variables: Mapping[str, Any],
    source: Path,
    target: Path,
    *,
    report: Callable[[str], Any] = lambda remark: None,
    **options: Any,
) -> np.ndarray:
    """`predict_array` from one .npy file to another; the target appears whole or not at all.

    `report` is called with each of the `remarks`.
    """
    if target.suffix != ".npy":
        raise ValueError(f"output={str(target)!r}: expected a name that ends in .npy")
    try:
        frames = np.load(source, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{source} is no .npy file of numbers: {error}") from error
    for remark in remarks(task, frames):
        report(remark)
    result = predict_array(task, variables, frames, **options)
    partial = target.with_name(f".{target.stem}.partial.npy")
    np.save(partial, result)
    partial.replace(target)
    return result
