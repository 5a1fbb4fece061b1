"""What a finished run shows: its row of metrics beside the controls, and pictures."""

import dataclasses
import functools
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console

import pdr_datasets
from pdr_jax import evaluate as evaluation
from pdr_jax import metrics, protocols, report
from pdr_jax.recipes import Protocol
from pdr_jax.run import Task
from pdr_jax.sharding import make_mesh, shard_batch, state_shardings

Rows = dict[str, dict[str, float]]


@dataclasses.dataclass(frozen=True)
class Measured:
    """What was measured of one predictor.

    Attributes:
      figures: over all frames of all clips.
      per_frame: at each step of the horizon, (T',).
      values: of every frame of every clip, (clips, T'), if they were kept.
      ids: of the clips, (clips,).
    """

    figures: dict[str, float]
    per_frame: dict[str, np.ndarray]
    values: dict[str, np.ndarray]
    ids: np.ndarray


def measure(
    task: Task,
    variables: Mapping[str, Any],
    *,
    split: str = "test",
    batch_size: int = 16,
    label: str = "model",
    controls: bool = True,
    protocol: Protocol = "standard",
    devices: int = 1,
    keep_samples: bool = False,
    names: tuple[str, ...] = (),
    extra: Mapping[str, metrics.FrameMetric] | None = None,
) -> dict[str, Measured]:
    """Figures on a split: of the model and, with `controls`, of what it must be held against.

    Args:
      task: of a run.
      variables: of its model.
      split: "test" or "holdout".
      batch_size: clips at a time; does not change the figures.
      label: the name of the model's row.
      controls: adds persistence and, for a model with adapter, the coarse frames alone and the
        rendered frames replaced by their mean and by another clip's.
      protocol: which figures; see `pdr_jax.protocols`.
      devices: how many share a batch.
      keep_samples: whether to fill `Measured.values`.
      names: metrics besides those of the protocol.
      extra: further metrics, as in `metrics.Evaluator`.

    Raises:
      ValueError: there is no such split, or the batch cannot be shared evenly.
    """
    source = {"test": task.test, "holdout": task.holdout}.get(split)
    if source is None:
        raise ValueError(
            f"split={split!r}: this run has none (protocol openstl and holdout=0 keep no holdout); "
            "expected 'test' or 'holdout'"
        )
    batches = functools.partial(pdr_datasets.batches, source, batch_size)
    mesh = make_mesh(devices)
    variables = jax.device_put(variables, state_shardings(mesh, variables))
    predictors = {label: evaluation.predictor(task.model, variables)}
    if controls:
        predictors["persistence"] = evaluation.persistence
        ablated = evaluation.ablations(
            task.model, variables, batches, clip=task.clip, batch_size=batch_size
        )
        predictors |= {f"{label}, {name}": predict for name, predict in ablated.items()}
    evaluator = protocols.evaluator(
        task.dataset, protocol, names=names, extra=extra, keep_samples=keep_samples
    )
    rows: dict[str, Measured] = {}
    for name, predict in predictors.items():
        evaluator.reset()
        ids = evaluation.evaluate(
            predict,
            batches,
            clip=task.clip,
            batch_size=batch_size,
            evaluator=evaluator,
            place=functools.partial(shard_batch, mesh),
        )
        values = evaluator.per_sample_frame() if keep_samples else {}
        rows[name] = Measured(evaluator.compute(), evaluator.per_frame(), values, ids)
    return rows


def score(task: Task, variables: Mapping[str, Any], **options: Any) -> Rows:
    """The figures of `measure`, with its arguments."""
    return {name: row.figures for name, row in measure(task, variables, **options).items()}


def parameter_count(variables: Mapping[str, Any]) -> int:
    """Trainable parameters."""
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(variables["params"]))


def print_table(rows: Rows, *, title: str, columns: tuple[str, ...] | None = None) -> None:
    """Prints rows of metrics; the best model of each column is bold, controls take no part."""
    controls = [name for name in rows if name == "persistence" or ", " in name]
    table = report.rich_table(rows, columns, title=title, reference=controls)
    # A pipe has no width, and at 80 columns the table would be cut.
    Console(width=None if sys.stdout.isatty() else 180).print(table)


def draw(
    task: Task, variables: Mapping[str, Any], folder: Path, *, clip_index: int = 0
) -> list[Path]:
    """Pictures of one test clip: a strip of frames, an animation, the Gaussians as ellipses.

    Args:
      task: of a run.
      variables: of its model.
      folder: where they go.
      clip_index: which clip of the test split.

    Returns:
      The paths of the pictures.

    Raises:
      ImportError: the extra `report` is not installed.
    """
    source = task.test if task.test is not None else task.train
    frames = np.asarray(source[clip_index % len(source)]["frames"])[None]
    observed, target = task.clip.split(jnp.asarray(frames))
    output = evaluation.apply(task.model, variables, observed, task.clip.horizon, "decompose")
    clip: dict[str, Any] = {
        "inputs": np.asarray(observed[0]),
        "truth": np.asarray(target[0]),
        "prediction": np.asarray(output.prediction[0]),
        "data_range": task.dataset.data_range,
    }
    paths = [folder / "strip.png", folder / "clip.gif"]
    report.save_gif(paths[1], **clip)
    if output.gaussians is None:
        report.save_strip(paths[0], **clip)
        return paths
    rendered = np.asarray(output.rendered[0])
    report.save_strip(paths[0], **clip, coarse=np.asarray(output.coarse[0]), rendered=rendered)
    paths.append(folder / "gaussians.png")
    mean, scale, rotation, amplitude = (
        np.asarray(array[0, -1]) for array in output.gaussians.pixels()
    )
    report.save_gaussians(
        paths[-1],
        clip["prediction"][-1],
        mean=mean,
        scale=scale,
        rotation=rotation,
        amplitude=amplitude,
        rendered=rendered[-1],
        data_range=task.dataset.data_range,
    )
    return paths


def draw_prediction(task: Task, source: Path, future: np.ndarray, path: Path) -> None:
    """Writes the first clip of an input file and what was predicted from it as a GIF."""
    observed = np.load(source)
    if observed.ndim == 5:
        observed, future = observed[0], future[0]
    observed = observed[-task.clip.in_length :]
    report.save_gif(
        path,
        inputs=np.asarray(task.clip.normalise(observed)),
        prediction=np.asarray(task.clip.normalise(future)),
        data_range=task.dataset.data_range,
    )
