"""Collects what a page shows of runs that were evaluated on the same clips."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pdr_jax import diagnostics, recipes
from pdr_jax.benchmarks import BENCHMARKS
from pdr_jax.evaluation import predictors
from pdr_jax.evaluation.figures import Measured
from pdr_jax.pdr import PDROutput
from pdr_jax.recipes import Recipe
from pdr_jax.report.curves import read_curve
from pdr_jax.report.html import Clip, Frames, Run
from pdr_jax.sharding import own_mesh, shard_whole
from pdr_jax.task import Task

ERROR = "mse"
"""The figure that orders the clips."""


@dataclasses.dataclass(frozen=True)
class Evaluated:
    """A run that was evaluated.

    Attributes:
      task: the model and the clips.
      variables: of the model.
      measured: what `measure` returned, with samples kept; {} if there was nothing to measure on.
      log: the run's metrics.jsonl, which need not exist.
      checkpoint: which one it is, in words.
    """

    task: Task
    variables: Mapping[str, Any]
    measured: Mapping[str, Measured]
    log: Path
    checkpoint: str


def explore(
    runs: Mapping[str, Evaluated], *, split: str, clips: int, batch_size: int
) -> tuple[dict[str, Run], list[Clip]]:
    """What a page shows of each run, and of clips from the worst to the best.

    Args:
      runs: by label, on the same clips.
      split: "test", "holdout" or "train", that which was measured.
      clips: how many, evenly spread over the clips in order of the first run's error. Without
        figures they are the first of the split.
      batch_size: clips at a time; the one of the evaluation needs no further compilation.

    Raises:
      ValueError: `clips` is less than 1, or a log is damaged.
    """
    if clips < 1:
        raise ValueError(f"clips={clips}: expected 1 or more")
    first = next(iter(runs.values()))
    source = getattr(first.task, split)
    errors = _errors(first.measured)
    titles = (
        choose(errors.mean(1), clips)
        if errors is not None
        else dict.fromkeys(range(min(clips, len(source))), "")
    )
    samples = [source[index] for index in titles]
    stored = np.stack([np.asarray(sample["frames"]) for sample in samples])
    inputs, truth = map(np.asarray, first.task.clip.split(jnp.asarray(stored)))
    shown: dict[str, Run] = {}
    by_run: dict[str, list[Frames]] = {}
    for label, run in runs.items():
        output = _decompose(run, stored, batch_size)
        shown[label] = _run(run, output)
        by_run[label] = _frames(output, run, list(titles))
    return shown, [
        Clip(
            title=title + _name(first.task, int(sample["id"])),
            inputs=inputs[i],
            truth=truth[i],
            runs={label: frames[i] for label, frames in by_run.items()},
        )
        for i, (title, sample) in enumerate(zip(titles.values(), samples, strict=True))
    ]


def choose(errors: np.ndarray, count: int) -> dict[int, str]:
    """Indices of clips, worst first and evenly spread, and their places among all in words.

    Args:
      errors: of every clip, (clips,).
      count: how many are chosen; all if there are fewer.
    """
    order, last = np.argsort(-errors, kind="stable"), len(errors) - 1
    count = min(count, len(errors))
    places = [place * last // max(count - 1, 1) for place in range(count)]
    names = {last // 2: "median", last: "best", 0: "worst"}
    return {
        int(order[place]): f"{names.get(place, f'{place + 1} of {len(errors)}')}: "
        f"{ERROR} {errors[order[place]]:.4g}, "
        for place in places
    }


def _name(task: Task, clip: int) -> str:
    """Of a clip, by which a person finds it in the data."""
    return task.dataset.clip_name(clip) if task.dataset.clip_name else f"clip {clip}"


def _errors(measured: Mapping[str, Measured]) -> np.ndarray | None:
    """(clips, T'), of the model, whose row is the first; 0 of frames that are missing."""
    return np.nan_to_num(next(iter(measured.values())).values[ERROR]) if measured else None


def _decompose(run: Evaluated, stored: np.ndarray, batch_size: int) -> PDROutput:
    """What the model makes of clips (n, T + T', H, W, C) in stored units."""
    task, parts = run.task, []
    plain = task.model.adapter is None
    method = "__call__" if plain else "decompose"
    place = functools.partial(shard_whole, own_mesh())  # as in `measure`, which compiled it
    for start in range(0, len(stored), batch_size):
        frames, valid = predictors.padded(stored[start : start + batch_size], batch_size)
        observed, _ = task.clip.split(place(frames))
        output = predictors.apply(task.model, run.variables, observed, task.clip.horizon, method)
        if plain:
            output = PDROutput(output, output)
        parts.append(jax.tree.map(lambda leaf, valid=valid: leaf[valid], output))
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *parts)


def _run(run: Evaluated, output: PDROutput) -> Run:
    recipe = run.task.recipe
    figures: dict[str, Any] = {}
    if run.measured:
        (label, own), *controls = run.measured.items()
        figures = {
            "figures": own.figures,
            "per_frame": own.per_frame,
            "errors": np.nan_to_num(own.values[ERROR]).mean(1),
            "controls": {_short(name, label): row.figures for name, row in controls},
            "persistence": next((r.per_frame for n, r in controls if n == "persistence"), {}),
        }
    described = diagnostics.describe(run.variables["params"], output)
    return Run(
        recipe=recipe.to_json(),
        defaults=_defaults(recipe),
        curves=_curves(run),
        statistics={name: float(value) for name, value in described.items()},
        checkpoint=run.checkpoint,
        **figures,
    )


def _short(name: str, label: str) -> str:
    """The name of a row without that of the model: "coarse" of "MODEL, coarse"."""
    drawn = name.removeprefix(f"{label} (")
    return name.removeprefix(f"{label}, ") if drawn == name else drawn.removesuffix(")")


def _defaults(recipe: Recipe) -> dict[str, Any] | None:
    """The recipe that its data set, backbone and adapter have by default, if they have one."""
    if recipe.dataset not in BENCHMARKS:
        return None
    made = recipes.create(recipe.dataset, backbone=recipe.backbone, adapter=recipe.adapter)
    return made.to_json()


def _curves(run: Evaluated) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The loss, and the error of the clips that choose the checkpoint."""
    if not run.log.exists():
        return {}
    names = ["loss"]
    if run.task.selection is not None:
        names.append(f"{run.task.selection[0]}_mse")
    return {name: read_curve(run.log, name) for name in names}


def _frames(output: PDROutput, run: Evaluated, chosen: Sequence[int]) -> list[Frames]:
    """A `Frames` for each clip; `chosen` are the clips' indices in the split."""
    errors = _errors(run.measured)
    gaussians = output.gaussians
    pixels = None if gaussians is None else [np.asarray(part) for part in gaussians.pixels()]
    return [
        Frames(
            prediction=np.asarray(output.prediction[i]),
            coarse=None if pixels is None else np.asarray(output.coarse[i]),
            rendered=None if output.rendered is None else np.asarray(output.rendered[i]),
            gaussians=None if pixels is None else tuple(part[i] for part in pixels),
            tracked=gaussians is not None and gaussians.weight is not None,
            errors=None if errors is None else errors[index],
        )
        for i, index in enumerate(chosen)
    ]
