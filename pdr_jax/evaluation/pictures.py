"""Pictures of what a task's model predicts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from pdr_jax import diagnostics, report
from pdr_jax.evaluation import predictors
from pdr_jax.task import Task


def draw(task: Task, variables: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draws the first test clip: a strip of frames, an animation, the Gaussians.

    Those with weights, which keep their identity over time, are shown by their tracks, and the
    strip has their motion and coverage too; others are shown as the last frame's ellipses.

    Args:
      task: the model and the clips; without a test split, the first training clip is drawn.
      variables: of the model.
      folder: where the pictures go.

    Returns:
      The paths of the pictures.

    Raises:
      ImportError: the extra `report` is not installed.
    """
    source = task.test if task.test is not None else task.train
    frames = np.asarray(source[0]["frames"])[None]
    observed, target = task.clip.split(jnp.asarray(frames))
    output = predictors.apply(task.model, variables, observed, task.clip.horizon, "decompose")
    clip: dict[str, Any] = {
        "inputs": np.asarray(observed[0]),
        "truth": np.asarray(target[0]),
        "prediction": np.asarray(output.prediction[0]),
        "data_range": task.dataset.data_range,
    }
    strip, animation = folder / "strip.png", folder / "clip.gif"
    report.save_gif(animation, **clip)
    if output.gaussians is None:
        report.save_strip(strip, **clip)
        return [strip, animation]
    rendered = np.asarray(output.rendered[0])
    gaussians = output.gaussians
    shares = {"coverage": output.coverage, "gate": output.gate}
    shown: dict[str, Any] = {
        name: np.asarray(share[0]) for name, share in shares.items() if share is not None
    }
    moving = gaussians.weight is not None and task.clip.horizon > 1
    if moving:
        shown["motion"] = np.asarray(diagnostics.motion_field(gaussians)[0])
    coarse = np.asarray(output.coarse[0])
    report.save_strip(strip, **clip, coarse=coarse, rendered=rendered, **shown)
    if moving:
        tracks = folder / "tracks.png"
        positions = np.asarray(gaussians.pixels()[0][0])
        report.save_tracks(
            tracks, clip["inputs"][-1], positions=positions, data_range=clip["data_range"]
        )
        return [strip, animation, tracks]
    ellipses = folder / "gaussians.png"
    mean, scale, rotation, amplitude = (
        np.asarray(array[0, -1]) for array in output.gaussians.pixels()
    )
    report.save_gaussians(
        ellipses,
        clip["prediction"][-1],
        mean=mean,
        scale=scale,
        rotation=rotation,
        amplitude=amplitude,
        rendered=rendered[-1],
        data_range=task.dataset.data_range,
    )
    return [strip, animation, ellipses]


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
