"""`pdr predict`."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from pdr_jax import processes
from pdr_jax.commands.options import parse_option
from pdr_jax.commands.progress import working
from pdr_jax.evaluation import kinds, pictures, prediction
from pdr_jax.evaluation.named_series import read_series, write_series
from pdr_jax.evaluation.video_files import read_video, write_video
from pdr_jax.runs import memory
from pdr_jax.runs.pretrained import from_pretrained
from pdr_jax.task import Task


def predict(
    run_folder: tyro.conf.Positional[Path],
    source: tyro.conf.Positional[Path],
    target: tyro.conf.Positional[Path],
    horizon: int | None = None,
    batch_size: int = 16,
    seed: int | None = None,
    samples: int | None = None,
    key: str | None = None,
    levels: str | None = None,
    gif: Path | None = None,
    distributed: processes.Distributed = "auto",
) -> None:
    """Predict the frames that follow; no ground truth needed.

    Args:
        run_folder: A run folder, or what pdr export wrote of one.
        source: Frames in the data set's units: .npy of (N, T, H, W, C) or (T, H, W, C); .nc, .h5,
            .zarr, or a folder or pattern of these; a video or a folder of frames.
        target: For the predicted frames: .npy; .nc of .nc and the like; .mp4, .gif or a new folder
            of a video.
        horizon: Frames to predict; by default as many as in training.
        batch_size: Clips at a time.
        seed: Of the future that a model with diffusion draws; another seed draws another. By
            default its point prediction.
        samples: Draws so many futures of each clip, under --seed or seed 0: the first axis of .npy,
            the dimension member of .nc; of a video NAME-0.mp4, NAME-1.mp4 and so on.
        key: The variable of a .nc and the like; by default as in training.
        levels: Its levels; by default as in training.
        gif: Also writes the first clip, observed and predicted (its first sample), as a GIF.
        distributed: Whether to join other processes: where the environment names them (auto),
            always, or never.
    """
    processes.join(distributed)
    prediction.check_draws(seed, samples)
    kind = kinds.kind_of(source)
    for name, value in (("key", key), ("levels", levels)):
        if value is not None and kind != "series":
            raise ValueError(f"{name}={value!r}: {source} has no named variables; leave it out")
    frames = prediction.read_frames(source) if kind == "array" else None
    if gif is not None and frames is not None and len(frames) == 0:
        raise ValueError(f"gif: {source} holds no clip to draw; leave the option out")
    kinds.prepare_outputs(source, target, gif, samples=samples)
    pretrained = from_pretrained(run_folder)
    task, variables = pretrained.task, pretrained.variables
    write = None
    if frames is None:
        chosen = {"key": key, "levels": None if levels is None else parse_option(levels)}
        frames, write = _read(kind, source, task, chosen)
    for remark in prediction.remarks(task, frames):
        print(remark)
    options: dict[str, Any] = {"horizon": horizon, "batch_size": batch_size}
    options |= {"seed": seed, "samples": samples}
    outputs = kinds.outputs(target, samples)
    with memory.told(batch_size), working(f"predicting {target}") as report:
        options["report"] = report
        if write is None or target.suffix == ".npy":
            future = prediction.predict_file(task, variables, frames, target, **options)
        else:
            future = prediction.predict_array(task, variables, frames, **options)
            if processes.first():
                parts = [future] if outputs == [target] else future
                for path, part in zip(outputs, parts, strict=True):
                    write(path, part)
    print(f"{', '.join(map(str, outputs))}: {future.dtype} {future.shape}")
    if gif is not None and processes.first():
        shown = future if samples is None else future[0]
        pictures.draw_prediction(task, frames, shown, gif)
        print(gif)


def _read(
    kind: kinds.Kind, source: Path, task: Task, chosen: dict[str, Any]
) -> tuple[np.ndarray, Callable[[Path, np.ndarray], None]]:
    """The frames to predict from, and what writes those that follow; prints what was found."""
    trained = task.recipe.data_options
    read: Any
    write: Any
    if kind == "video":
        options = {name: trained[name] for name in ("every", "white") if trained.get(name)}
        read, write = read_video(source, task, **options), write_video
    else:
        given = {name: value for name, value in chosen.items() if value is not None}
        read, write = read_series(source, task, {**trained, **given}), write_series
    print(*read.notes, sep="\n")
    return read.frames, functools.partial(write, read)
