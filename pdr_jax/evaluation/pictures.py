"""Pictures of what a task's model predicts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from pdr_jax import diagnostics, report
from pdr_jax.evaluation import predictors
from pdr_jax.pdr import PDROutput
from pdr_jax.task import Task


def draw(task: Task, variables: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draws the first test clip: a strip of frames, an animation, and what the Gaussians do.

    Of Gaussians that are tracked, that is their paths; of others, their ellipses.

    Args:
      task: the model and the clips; without a test split, the first training clip is drawn.
      variables: of the model.
      folder: where the pictures go.

    Returns:
      The paths of the pictures.

    Raises:
      ImportError: the extra `report` is not installed.
    """
    observed, target, output = _first_clip(task, variables)
    clip: dict[str, Any] = {
        "inputs": observed,
        "truth": target,
        "prediction": np.asarray(output.prediction[0]),
        "data_range": task.dataset.data_range,
    }
    strip, animation = folder / "strip.png", folder / "clip.gif"
    report.save_gif(animation, **clip)
    gaussians = output.gaussians
    if gaussians is None:
        report.save_strip(strip, **clip)
        return [strip, animation]
    layers = {"coarse": output.coarse, "rendered": output.rendered}
    layers |= {"coverage": output.coverage, "gate": output.gate}
    tracked = gaussians.weight is not None and task.clip.horizon > 1
    if tracked:
        layers["motion"] = diagnostics.motion_field(gaussians)
    shown: dict[str, Any] = {k: np.asarray(v[0]) for k, v in layers.items() if v is not None}
    report.save_strip(strip, **clip, **shown)
    if tracked:
        picture = folder / "tracks.png"
        report.save_tracks(
            picture,
            observed[-1],
            positions=np.asarray(gaussians.pixels()[0][0]),
            data_range=task.dataset.data_range,
        )
    else:
        picture = folder / "gaussians.png"
        mean, scale, rotation, amplitude = (np.asarray(x[0, -1]) for x in gaussians.pixels())
        report.save_gaussians(
            picture,
            clip["prediction"][-1],
            mean=mean,
            scale=scale,
            rotation=rotation,
            amplitude=amplitude,
            rendered=shown["rendered"][-1],
            data_range=task.dataset.data_range,
        )
    return [strip, animation, picture]


def compare(models: Mapping[str, tuple[Task, Mapping[str, Any]]], path: Path) -> None:
    """Draws what several models predict for the first test clip, below each other.

    Args:
      models: by name, tasks on the same clips and the variables of their models.
      path: of the picture, PNG.

    Raises:
      ImportError: the extra `report` is not installed.
    """
    predictions = {}
    for name, (task, variables) in models.items():
        observed, target, output = _first_clip(task, variables)
        predictions[name] = np.asarray(output.prediction[0])
    report.save_comparison(
        path,
        inputs=observed,
        truth=target,
        predictions=predictions,
        data_range=task.dataset.data_range,
        steps=8,
    )


def _first_clip(
    task: Task, variables: Mapping[str, Any]
) -> tuple[np.ndarray, np.ndarray, PDROutput]:
    """Observed frames, true future and what the model makes of the first test clip."""
    source = task.test if task.test is not None else task.train
    frames = np.asarray(source[0]["frames"])[None]
    observed, target = task.clip.split(jnp.asarray(frames))
    output = predictors.apply(task.model, variables, observed, task.clip.horizon, "decompose")
    return np.asarray(observed[0]), np.asarray(target[0]), output


def draw_prediction(task: Task, observed: np.ndarray, future: np.ndarray, path: Path) -> None:
    """Writes the first clip, observed and predicted, as a GIF.

    Args:
      task: the units and the range of the frames.
      observed: (N, T, H, W, C) or (T, H, W, C), stored units; the last T frames are shown.
      future: the predicted frames, (N, T', H, W, C) or (T', H, W, C), stored units.
      path: the .gif file.

    Raises:
      ImportError: the extra `report` is not installed.
    """
    if observed.ndim == 5:
        observed, future = observed[0], future[0]
    report.save_gif(
        path,
        inputs=task.clip.units.normalise(observed[-task.clip.in_length :]),
        prediction=task.clip.units.normalise(future),
        data_range=task.dataset.data_range,
    )
