"""Prediction on new data, without ground truth: arrays and their files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

import pdr_datasets
from pdr_jax.evaluation import predictors
from pdr_jax.files import replacing
from pdr_jax.report import style
from pdr_jax.task import Task


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
      task: the model, and the units and size of its frames.
      variables: of the model.
      frames: (N, T, H, W, C), or (T, H, W, C) for one clip, in the data set's stored units (uint8
        images, kelvin); the last `in_length` frames are used. N may be 0.
      horizon: frames to predict; the recipe's by default.
      batch_size: clips at a time.

    Returns:
      (N, horizon, H, W, C), or (horizon, H, W, C) for one clip, in the dtype and units of `frames`;
      integers are rounded and clipped to their range.

    Raises:
      ValueError: `frames` has the wrong rank or size, too few time steps, or values that are not
        finite; or the horizon or the batch size is below 1.
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
    for name, value in (("horizon", horizon), ("batch_size", batch_size)):
        if value < 1:
            raise ValueError(f"{name}={value}: expected 1 or more")
    predict = predictors.predictor(task.model, variables)
    observed = clips[:, -clip.in_length :]
    results = [np.zeros((0, horizon, *task.dataset.frame_shape), np.float32)]
    for start in range(0, len(observed), batch_size):
        stored, valid = predictors.padded(observed[start : start + batch_size], batch_size)
        future = clip.units.denormalise(predict(clip.units.normalise(jnp.asarray(stored)), horizon))
        results.append(np.asarray(future)[valid])
    result = np.concatenate(results)
    if np.issubdtype(frames.dtype, np.integer):
        limits = np.iinfo(frames.dtype)
        result = np.clip(np.rint(result), limits.min, limits.max)
    result = result.astype(frames.dtype)
    return result[0] if single else result


def remarks(task: Task, frames: np.ndarray) -> list[str]:
    """Remarks on frames to predict from: their units, and which frames of a clip are used."""
    (low, high), length = stored_range(task.dataset), task.clip.in_length
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


def stored_range(dataset: pdr_datasets.VideoDataset) -> tuple[float, float]:
    """The lowest and the highest value of the stored frames, over all channels."""
    ends = [dataset.units.denormalise(np.full((1, 1), end)) for end in dataset.data_range]
    return float(np.min(ends)), float(np.max(ends))


def read_frames(path: Path) -> np.ndarray:
    """The array of an .npy file, of any shape.

    Raises:
      ValueError: the file is no .npy file, or does not hold integers or floats.
    """
    try:
        frames = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path} is no .npy file of numbers: {error}") from error
    if not isinstance(frames, np.ndarray):
        frames.close()
        raise ValueError(
            f"{path} is an archive of arrays, {', '.join(frames.files)}: save the one with the "
            "frames as an .npy file"
        )
    if frames.dtype.kind not in "iuf":
        raise ValueError(f"{path} holds {frames.dtype}: expected integers or floats")
    return frames


def prepare_outputs(source: Path, target: Path, gif: Path | None = None) -> None:
    """Makes the folders of the outputs; refuses outputs that could not be written afterwards.

    Args:
      source: the file with the observed frames.
      target: the .npy file for the predicted frames.
      gif: the .gif file, if one is wanted.

    Raises:
      ValueError: a name does not end in .npy or .gif, or `target` is `source`.
      ImportError: the extra `report`, which a GIF needs, is not installed.
    """
    if target.resolve() == source.resolve():
        raise ValueError(f"target={str(target)!r} would replace the frames that it is made from")
    for field, path, suffix in (("target", target, ".npy"), ("gif", gif, ".gif")):
        if path is not None and path.suffix != suffix:
            raise ValueError(f"{field}={str(path)!r}: expected a name that ends in {suffix}")
    if gif is not None:
        style.require("imageio.v3")
        style.prepare(gif, ".gif")
    target.parent.mkdir(parents=True, exist_ok=True)


def write_frames(path: Path, frames: np.ndarray) -> None:
    """Writes an .npy file, whole or not at all."""
    with replacing(path) as partial:
        np.save(partial, frames)
