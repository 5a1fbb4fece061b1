"""Prediction on new data, without ground truth: arrays and their files."""

import functools
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import pdr_datasets
from pdr_datasets.npy import open_npy
from pdr_jax import processes
from pdr_jax.evaluation import draws, predictors
from pdr_jax.fields import LARGEST, LARGEST_SIZE
from pdr_jax.files import replacing
from pdr_jax.sharding import make_mesh, on_host, shard_whole, traced_for
from pdr_jax.task import Task

# Called with how many clips are done, and how many there are.
Report = Callable[[int, int], None]


def predict_array(
    task: Task,
    variables: Mapping[str, Any],
    frames: np.ndarray,
    *,
    horizon: int | None = None,
    batch_size: int = 16,
    seed: int | None = None,
    samples: int | None = None,
    report: Report = lambda done, total: None,
) -> np.ndarray:
    """Predicts the frames that follow.

    Args:
      task: the model, and the units and size of its frames.
      variables: of the model.
      frames: (N, T, H, W, C), or (T, H, W, C) for one clip, in the data set's stored units (uint8
        images, kelvin; NaN where the data set has missing values); the last `in_length` frames are
        used. N may be 0.
      horizon: frames to predict; the recipe's by default.
      batch_size: clips at a time; all samples of these are in memory.
      seed: of one future drawn for each clip; None takes the point prediction.
      samples: how many futures to draw of each clip, n, under `seed`, by default 0. They are those
        of `pdr_jax.evaluation.draws` for clips numbered from 0; the first is that of `seed` alone.
      report: called after each batch.

    Returns:
      (N, horizon, H, W, C), or (horizon, H, W, C) for one clip, in the dtype and units of `frames`;
      integers are rounded and clipped to their range. With `samples` a first axis, n, numbers them.

    Raises:
      ValueError: `frames` has the wrong rank or size, too few time steps, a dtype that cannot hold
        the predictions, or values that are not finite; the horizon or the batch size is below 1;
        the model draws no futures, or the seed or the samples are none; or a predicted value is
        not finite.
    """
    blocks = _predicted_blocks(task, variables, frames, horizon, batch_size, seed, samples, report)
    future = np.concatenate([block for _, block in blocks], axis=1)
    future = future[:, 0] if frames.ndim == 4 else future
    return future[0] if samples is None else future


def predict_file(
    task: Task,
    variables: Mapping[str, Any],
    frames: np.ndarray,
    target: Path,
    *,
    horizon: int | None = None,
    batch_size: int = 16,
    seed: int | None = None,
    samples: int | None = None,
    report: Report = lambda done, total: None,
) -> np.ndarray:
    """Writes what `predict_array` returns to an .npy file, whole or not at all.

    Memory is bounded by a few batches if `frames` is a memory map.

    Returns:
      A memory map of the file; of several processes, the first alone writes it, and the others have
      zeros.
    """
    leading: tuple[int, ...] = () if samples is None else (samples,)
    leading += () if frames.ndim == 4 else (len(frames),)
    shape = (*leading, horizon or task.clip.horizon, *task.dataset.frame_shape)
    blocks = _predicted_blocks(task, variables, frames, horizon, batch_size, seed, samples, report)
    if not processes.first():
        for _ in blocks:  # this process's part of the work
            pass
        return np.broadcast_to(np.zeros((), frames.dtype), shape)
    with replacing(target) as partial:
        if 0 in shape:  # nothing can be mapped
            np.save(partial, np.zeros(shape, frames.dtype))
        else:
            written = np.lib.format.open_memmap(partial, "w+", frames.dtype, shape)
            stored = written.reshape(samples or 1, -1, *shape[-4:])
            for start, block in blocks:
                stored[:, start : start + block.shape[1]] = block
            written.flush()
    return np.load(target, mmap_mode="r" if 0 not in shape else None)


def _predicted_blocks(
    task: Task,
    variables: Mapping[str, Any],
    frames: np.ndarray,
    horizon: int | None,
    batch_size: int,
    seed: int | None,
    samples: int | None,
    report: Report,
) -> Iterator[tuple[int, np.ndarray]]:
    """Batches (n, B, T', H, W, C) of predicted clips, each with the index of its first clip.

    One future is n = 1. Refuses bad input at once.
    """
    clip = task.clip
    horizon = clip.horizon if horizon is None else horizon
    for name, value in (("horizon", horizon), ("batch_size", batch_size)):
        if value < 1:
            raise ValueError(f"{name}={value}: expected 1 or more")
    _check_frames(task, frames)
    observed = (frames[None] if frames.ndim == 4 else frames)[:, -clip.in_length :]
    predict = _predictor(task, variables, seed, samples)
    batch_size = min(batch_size, max(len(observed), 1))
    place: Any = jnp.asarray
    if jax.process_count() > 1:
        mesh = make_mesh()
        place, predict = functools.partial(shard_whole, mesh), traced_for(mesh, predict)
        batch_size = -(-batch_size // mesh.size) * mesh.size

    def blocks() -> Iterator[tuple[int, np.ndarray]]:
        yield 0, np.zeros((samples or 1, 0, horizon, *task.dataset.frame_shape), frames.dtype)
        for start in range(0, len(observed), batch_size):
            chosen = np.asarray(observed[start : start + batch_size])
            if clip.fill is None:
                _check_finite("frames", chosen, start)
            stored, valid = predictors.padded(chosen, batch_size)
            ids = place(draws.as_words(np.arange(start, start + batch_size)))
            model_units = predict(clip.filled(clip.units.normalise(place(stored))), ids, horizon)
            future = on_host(clip.units.denormalise(model_units))[:, valid]
            _check_finite("prediction", future, start)
            if np.issubdtype(frames.dtype, np.integer):
                limits = np.iinfo(frames.dtype)
                future = np.clip(np.rint(future), limits.min, limits.max)
            yield start, future.astype(frames.dtype)
            report(start + len(chosen), len(observed))

    return blocks()


def check_draws(seed: int | None, samples: int | None) -> None:
    """Raises ValueError for a seed, or a number of samples, that is given and is none."""
    for name, value, low, high in (
        ("seed", seed, 0, LARGEST),
        ("samples", samples, 1, LARGEST_SIZE),
    ):
        if value is not None and not low <= value <= high:
            raise ValueError(f"{name}={value}: expected {low} to {high}")


def _predictor(
    task: Task, variables: Mapping[str, Any], seed: int | None, samples: int | None
) -> draws.Draw:
    check_draws(seed, samples)
    if seed is None and samples is None:
        point = predictors.predictor(task.model, variables)
        return lambda observed, ids, horizon: point(observed, horizon)[None]
    if not draws.can_draw(task.model):
        given = f"seed={seed}" if samples is None else f"samples={samples}"
        raise ValueError(f"{given}: expected none; {task.recipe.label} draws no futures")
    return draws.drawer(task.model, variables, samples=samples or 1, seed=seed or 0)


def _check_frames(task: Task, frames: np.ndarray) -> None:
    shape = frames.shape[-4:]
    if (
        frames.ndim not in (4, 5)
        or shape[1:] != task.dataset.frame_shape
        or shape[0] < task.clip.in_length
    ):
        height, width, channels = task.dataset.frame_shape
        without = frames.shape[-2:] == (height, width) and channels == 1
        raise ValueError(
            f"frames has shape {frames.shape}; expected (N, {task.clip.in_length} or more, "
            f"{height}, {width}, {channels}), or one clip without N"
            + ". Add the axis of channels: frames[..., None]"
            * without
        )
    if np.issubdtype(frames.dtype, np.integer):
        (low, high), limits = stored_range(task.dataset), np.iinfo(frames.dtype)
        if low < limits.min or limits.max < high:
            raise ValueError(
                f"frames has dtype {frames.dtype}, which ends at {limits.min} and {limits.max}, "
                f"and this run's frames go from {low:g} to {high:g}: convert them to a wider one"
            )


def _check_finite(field: str, clips: np.ndarray, start: int) -> None:
    """Refuses clips (B, T, H, W, C), or samples of them (n, B, T, H, W, C), numbered from start."""
    finite = np.atleast_2d(np.isfinite(clips).all(axis=(-4, -3, -2, -1))).all(axis=0)
    if not finite.all():
        raise ValueError(
            f"{field}: clip {start + int(np.argmin(finite))} has values that are not finite; "
            "expected numbers everywhere"
        )


def remarks(task: Task, frames: np.ndarray) -> list[str]:
    """Remarks on frames to predict from: their units, and which frames of a clip are used."""
    (low, high), length = stored_range(task.dataset), task.clip.in_length
    found = [f"frames are taken to be in stored units, {low:g}..{high:g}"]
    least, greatest = (np.min(frames), np.max(frames)) if frames.size else (low, high)
    floating = np.issubdtype(frames.dtype, np.floating)
    if floating and low == 0 and high > 1 and least >= 0 and 0 < greatest <= 1:
        found.append(
            f"warning: the input lies in [0, 1], but this run's frames are in 0..{high:g}: "
            f"multiply it by {high:g}"
        )
    elif greatest < low or high < least:
        found.append(
            f"warning: the input lies in {least:g}..{greatest:g}, outside of this run's frames: "
            "convert it to their units (kelvin and degrees Celsius differ by 273.15)"
        )
    if frames.ndim in (4, 5) and (given := frames.shape[-4]) > length:
        found.append(f"of {given} frames a clip, the last {length} are used")
    return found


def stored_range(dataset: pdr_datasets.VideoDataset) -> tuple[float, float]:
    """The lowest and the highest value of the stored frames, over all channels."""
    ends = [dataset.units.denormalise(np.full((1, 1), end)) for end in dataset.data_range]
    return float(np.min(ends)), float(np.max(ends))


def read_frames(path: Path) -> np.ndarray:
    """The array of an .npy file, of any shape, memory-mapped.

    Raises:
      ValueError: the file is no .npy file, does not hold integers or floats, or is shorter than
        its header says.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = ", ".join(name.removesuffix(".npy") for name in archive.namelist())
        raise ValueError(
            f"{path} is an archive of arrays, {names}: save the one with the frames as an .npy file"
        )
    frames = open_npy(Path(path))
    if frames.dtype.kind not in "iuf":
        raise ValueError(f"{path} holds {frames.dtype}: expected integers or floats")
    return frames
