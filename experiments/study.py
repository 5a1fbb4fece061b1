"""Comparisons: the same data, steps and seeds for every arm, controls included.

An arm is a recipe, with a model of its own where no recipe describes it. Finished runs are kept in
a folder and not repeated, so an interrupted study continues. Each records what it was made from.
"""

import dataclasses
import functools
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

import pdr_datasets
from pallas_kernels.tools.record import COMMIT
from pdr_datasets.lock import exclusive
from pdr_jax import backbones, diagnostics, metrics
from pdr_jax.commands.progress import TrainingProgress
from pdr_jax.evaluation import predictors, protocols
from pdr_jax.evaluation.measuring import measure, parameter_count, stream
from pdr_jax.evaluation.pictures import draw
from pdr_jax.files import write_json
from pdr_jax.pdr import PDR
from pdr_jax.recipes import Recipe
from pdr_jax.runs.fit import fit
from pdr_jax.runs.folder import describe_dataset
from pdr_jax.runs.state import load
from pdr_jax.task import Task, open_task
from pdr_jax.train import ClipSpec

Dataset = pdr_datasets.VideoDataset

OPTIMIZER: dict[str, Any] = {"optimizer": "adamw", "weight_decay": 1e-2}
"""PDR's, for every arm: by default a plain predictor's recipe has its own."""

TWO_CORES: dict[str, Any] = {
    "backbone_options": {"hid_S": 16, "hid_T": 64, "N_S": 2, "N_T": 3, "drop_path": 0.0},
    "learning_rate": 2e-3,
    **OPTIMIZER,
    "batch_size": 4,
    "holdout": 0.0,
    "devices": 1,
}
"""Overrides of a recipe that two cores train in minutes: TAU, narrow, on small batches."""


@dataclasses.dataclass(frozen=True)
class Arm:
    """One row of a table.

    Attributes:
      label: the row's name.
      recipe: of the run; the seed is replaced by each of the study's.
      model: makes the model from the recipe and (H, W, C), if it is not the recipe's own.
    """

    label: str
    recipe: Recipe
    model: Callable[[Recipe, tuple[int, int, int]], PDR] = Recipe.build


def adapter_arm(recipe: Recipe) -> Arm:
    """The plain predictor (adapter "none") or PDR with a preset, named by adapter and loss."""
    name = "plain" if recipe.adapter == "none" else f"PDR {recipe.adapter}"
    return Arm(f"{name}, {recipe.loss}", recipe)


def run_study(
    arms: Sequence[Arm], seeds: Sequence[int], *, shard: tuple[int, int] = (0, 1), **arguments: Any
) -> list[dict]:
    """`run_arm` for every seed and arm; of several processes, each takes its share of them.

    Args:
      arms: the rows.
      seeds: one run an arm and seed.
      shard: (index, count): this process runs every count-th job, starting at index.
      **arguments: of `run_arm`.
    """
    jobs = [(arm, seed) for seed in seeds for arm in arms]
    return [run_arm(arm, seed, **arguments) for arm, seed in jobs[shard[0] :: shard[1]]]


def run_arm(
    arm: Arm,
    seed: int,
    *,
    dataset: Dataset,
    evaluate_on: Mapping[str, Dataset],
    folder: Path,
    names: tuple[str, ...] = (),
    extra: Mapping[str, metrics.FrameMetric] | None = None,
    **options: Any,
) -> dict:
    """Trains an arm with one seed and scores it: its best state if clips choose one, else its last.

    Args:
      arm: what to train.
      seed: of parameters and data order.
      dataset: trained on.
      evaluate_on: name -> data set whose test split is scored; its horizon may be longer.
      folder: of finished runs.
      names: metrics of the model and of persistence beside the protocol's, which the other
        controls have alone.
      extra: further metrics of these two, as in `pdr_jax.metrics.Evaluator`.
      options: further arguments of `measure`, such as `samples`.

    Returns:
      {"label", "seed", "recipe", "data", "parameters", "steps", "commit", "train_seconds",
      "scores": {name: rows}, "mse_by_frame": {name: the model's}, "tracks": how its Gaussians
      move and are used on the test split, {} without}.

    Raises:
      ValueError: the folder has a finished run of this name, but of another recipe or other data.
    """
    recipe = dataclasses.replace(arm.recipe, seed=seed)
    name = file_name(arm.label, seed)
    done = folder / f"{name}.json"
    origin = {
        "recipe": recipe.to_json(),
        "data": {
            name: _describe(data) for name, data in {"training": dataset, **evaluate_on}.items()
        },
    }
    if done.exists():
        found = json.loads(done.read_text())
        _check_same(done, origin, found)
        return found
    started = time.perf_counter()
    model = arm.model(recipe, dataset.frame_shape)
    with TrainingProgress(name, every=0.25) as progress:
        # A run that was cut off starts again: its folder is this study's own.
        out = _fresh(folder / name)
        task = open_task(recipe, dataset, model)
        state = fit(task, out, report=progress)
    seconds, steps = time.perf_counter() - started, int(state.step)
    if task.selection is not None:
        task, state = load(out, dataset=dataset, model=model, recipe=recipe)
    if arm.model is Recipe.build:
        draw(task, state.variables(), out)
    measured = {}
    options |= {"batch_size": 8, "label": "model"}
    for horizon, other in evaluate_on.items():
        longer = dataclasses.replace(recipe, out_length=other.out_length)
        there = open_task(longer, other, model)
        score = functools.partial(measure, there, state.variables(), **options)
        rows = score()
        if names or extra:
            rows |= score(controls=False, names=names, extra=extra)
            still = functools.partial(_persistence, other, names=names, extra=extra)
            known = once(folder / f"persistence_{other.out_length}.json", still)
            rows["persistence"] = dataclasses.replace(rows["persistence"], figures=known)
        measured[horizon] = rows
    result = {
        "label": arm.label,
        "seed": seed,
        **origin,
        "parameters": parameter_count(state.variables()),
        "steps": steps,
        "commit": COMMIT,
        "train_seconds": round(seconds, 1),
        "scores": {
            horizon: {name: row.figures for name, row in rows.items()}
            for horizon, rows in measured.items()
        },
        "mse_by_frame": {
            horizon: rows["model"].per_frame["mse"].tolist() for horizon, rows in measured.items()
        },
        "tracks": _tracks(task, state.variables()),
    }
    write_json(done, result)
    return result


def once(path: Path, make: Callable[[], Any]) -> Any:
    """What `make` returns, of JSON types; made once for all processes and calls of a study."""
    with exclusive(path.with_suffix(".lock")):
        if not path.exists():
            write_json(path, make())
        return json.loads(path.read_text())


def _persistence(
    dataset: Dataset, *, names: tuple[str, ...], extra: Mapping[str, metrics.FrameMetric] | None
) -> dict[str, float]:
    """Figures of the last frame repeated, which are the same for every arm."""
    evaluator = protocols.evaluator(dataset, names=names, extra=extra)
    stream(
        predictors.persistence,
        functools.partial(pdr_datasets.batches, dataset.splits["test"], 8),
        clip=ClipSpec(dataset.in_length, dataset.out_length, dataset.units),
        batch_size=8,
        evaluator=evaluator,
    )
    return evaluator.compute()


def _tracks(task: Task, variables: Mapping[str, Any]) -> dict[str, float]:
    """Means over whole batches of the test split."""
    if task.model.adapter is None:
        return {}
    assert task.test is not None

    @jax.jit
    def figures(observed: jax.Array) -> dict[str, jax.Array]:
        output = predictors.apply(task.model, variables, observed, task.clip.horizon, "decompose")
        moved = diagnostics.track_statistics(output.gaussians)
        return moved | diagnostics.blend_statistics(output.coverage, output.gate)

    size = min(8, len(task.test))
    batches = pdr_datasets.batches(task.test, size, drop_remainder=True)
    found = [figures(task.clip.split(jnp.asarray(batch["frames"]))[0]) for batch in batches]
    return {name: float(np.mean([row[name] for row in found])) for name in found[0]}


def _describe(dataset: Dataset) -> dict[str, Any]:
    """What tells a data set from another of the same name."""
    return {
        **describe_dataset(dataset),
        "lengths": [dataset.in_length, dataset.out_length],
        "clips": {name: len(source) for name, source in dataset.splits.items()},
    }


def _check_same(done: Path, origin: dict[str, Any], found: dict[str, Any]) -> None:
    here = json.loads(json.dumps(origin))
    changed = [
        f"{part}.{name}={value!r}, there {there.get(name)!r}"
        for part, there in ((part, found.get(part, {})) for part in here)
        for name, value in here[part].items()
        if value != there.get(name)
    ]
    if changed:
        raise ValueError(
            f"{done} is a finished run of the same name, but another one ({'; '.join(changed)}): "
            "give another folder, or move that file away to run anew"
        )


def file_name(label: str, seed: int) -> str:
    """The name of an arm's finished run; its run folders add a number."""
    return f"{label}-seed{seed}".replace(" ", "_").replace("/", "_")


def latest(folder: Path, label: str, seed: int) -> Path:
    """The run folder of an arm: the last one, where runs were cut off."""
    tries = folder.glob(f"{file_name(label, seed)}.*/")
    return max(tries, key=lambda path: int(path.suffix[1:]))


def _fresh(folder: Path) -> Path:
    """`folder`, or the next of its name that is not taken."""
    tries = 0
    while (folder.with_name(f"{folder.name}.{tries}")).exists():
        tries += 1
    return folder.with_name(f"{folder.name}.{tries}")


class AffineOutput(nn.Module):
    """A backbone with a learned affine 1x1 output: the fusion's freedom without a renderer."""

    backbone: nn.Module

    @nn.compact
    def __call__(
        self, frames: jax.Array, horizon: int | None = None, *, train: bool = False
    ) -> jax.Array:
        """(B, T, H, W, C) -> (B, horizon, H, W, C)."""
        coarse = self.backbone(frames, horizon, train=train)
        return nn.Dense(coarse.shape[-1], kernel_init=_identity, name="affine")(coarse)


def _identity(key: jax.Array, shape: tuple[int, int], dtype: Any = jnp.float32) -> jax.Array:
    return jnp.eye(*shape, dtype=dtype)


def plain_affine(recipe: Recipe, frame_shape: tuple[int, int, int]) -> PDR:
    """Control: the plain predictor with a learned affine 1x1 output."""
    return PDR(AffineOutput(recipe.build(frame_shape).backbone))


def plain_matched(with_adapter: Recipe) -> Callable[[Recipe, tuple[int, int, int]], PDR]:
    """Control: the plain predictor, its translator widened to the parameters of `with_adapter`."""

    def build(recipe: Recipe, frame_shape: tuple[int, int, int]) -> PDR:
        clip = jnp.zeros((1, recipe.in_length, *frame_shape))

        def size(model: PDR) -> int:
            shapes = jax.eval_shape(model.init, jax.random.key(0), clip)
            return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(shapes["params"]))

        wanted = size(with_adapter.build(frame_shape))
        base = int(recipe.backbone_options["hid_T"])
        widths = range(base, 8 * base, 16)
        models = (_widened(recipe, frame_shape, width) for width in widths)
        return next(model for model in models if size(model) >= wanted)

    return build


def _widened(recipe: Recipe, frame_shape: tuple[int, int, int], width: int) -> PDR:
    options = {**recipe.backbone_options, "hid_T": width}
    return PDR(
        backbones.create(recipe.backbone, in_shape=(recipe.in_length, *frame_shape), **options)
    )
