"""Figures of a task's model on a split, and of the controls to compare it with."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import pdr_datasets
from pdr_jax import metrics
from pdr_jax.evaluation import predictors, protocols
from pdr_jax.evaluation.predictors import Batches, Predict
from pdr_jax.recipes import Protocol
from pdr_jax.sharding import make_mesh, on_host, shard_whole, state_shardings, traced_for
from pdr_jax.task import Task
from pdr_jax.train import ClipSpec

Rows = dict[str, dict[str, float]]


@dataclasses.dataclass(frozen=True)
class Measured:
    """What was measured of one predictor; the keys are names of metrics.

    Attributes:
      figures: over all frames of all clips.
      per_frame: at each step of the horizon, (T',).
      values: of every frame of every clip, (clips, T'); {} if they were not kept.
      ids: ids of the clips, (clips,).
    """

    figures: dict[str, float]
    per_frame: dict[str, np.ndarray]
    values: dict[str, np.ndarray]
    ids: np.ndarray


def stream(
    predict: Predict,
    batches: Batches,
    *,
    clip: ClipSpec,
    batch_size: int,
    evaluator: metrics.Evaluator,
    place: Callable[[np.ndarray], jax.Array] = jnp.asarray,
) -> np.ndarray:
    """Updates `evaluator` with a predictor's frames of every clip.

    Args:
      predict: the predictor.
      batches: called once, for a fresh pass over the clips.
      clip: how to split and scale the clips.
      batch_size: clips at a time; the last batch may be smaller.
      evaluator: where the figures accumulate.
      place: puts a batch on the devices, as `sharding.shard_whole` does for several.

    Returns:
      The clips' ids in order, (clips,).

    Raises:
      NotFiniteError: a predicted value is NaN or infinite; the message names the clip.
    """
    ids = []
    for batch in batches():
        frames, valid = predictors.padded(np.asarray(batch["frames"]), batch_size)
        observed, target = clip.split(place(frames))
        predicted = predict(observed, clip.horizon)
        finite = on_host(jnp.isfinite(predicted).all(axis=(1, 2, 3, 4)))
        if not finite.all():
            bad = batch["id"][int(np.argmin(finite))]
            raise predictors.NotFiniteError(f"prediction: that of clip {bad} is not finite")
        evaluator.update(predicted, target, valid)
        ids.append(batch["id"])
    return np.concatenate(ids)


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
    raft: metrics.Flow | None = None,
) -> dict[str, Measured]:
    """Figures of a task's model on a split and, with `controls`, of its controls.

    Args:
      task: the model and the clips.
      variables: of the model.
      split: "test" or "holdout".
      batch_size: clips at a time; does not change the figures.
      label: the name of the model's row.
      controls: adds persistence and, for a model with an adapter, the controls of
        `pdr_jax.evaluation.predictors.ablations`.
      protocol: which metrics; see `pdr_jax.evaluation.protocols`.
      devices: how many share a batch; several processes share it over all of theirs.
      keep_samples: whether to fill `Measured.values`.
      names: metrics besides those of the protocol.
      extra: further metrics, as in `metrics.Evaluator`.
      raft: optical flow of RAFT, as there.

    Returns:
      What was measured of each row, by label: the model first, then the controls.

    Raises:
      ValueError: there is no such split, or the devices cannot share the batch evenly.
    """
    source = {"test": task.test, "holdout": task.holdout}.get(split)
    if source is None:
        raise ValueError(
            f"split={split!r}: expected 'test' or 'holdout', if the run has such clips; under "
            "protocol openstl, or with holdout=0, none are held out"
        )
    batches = functools.partial(pdr_datasets.batches, source, batch_size)
    if jax.process_count() > 1:
        devices = jax.device_count()
        batch_size = -(-batch_size // devices) * devices
    mesh = make_mesh(devices)
    place = functools.partial(shard_whole, mesh)
    variables = jax.device_put(variables, state_shardings(mesh, variables))
    rows = {label: predictors.predictor(task.model, variables)}
    if controls:
        rows["persistence"] = predictors.persistence
        ablated = predictors.ablations(
            task.model,
            variables,
            batches,
            functools.partial(pdr_datasets.batches, _HalfASplitAway(source), batch_size),
            clip=task.clip,
            batch_size=batch_size,
            place=place,
        )
        if len(source) < 2:  # there is no other clip
            ablated.pop("shuffled Y", None)
        rows |= {f"{label}, {name}": predict for name, predict in ablated.items()}
    evaluator = protocols.evaluator(
        task.dataset, protocol, names=names, extra=extra, raft=raft, keep_samples=keep_samples
    )
    measured: dict[str, Measured] = {}
    for name, predict in rows.items():
        evaluator.reset()
        ids = stream(
            traced_for(mesh, predict),
            batches,
            clip=task.clip,
            batch_size=batch_size,
            evaluator=evaluator,
            place=place,
        )
        values = evaluator.per_sample_frame() if keep_samples else {}
        measured[name] = Measured(evaluator.compute(), evaluator.per_frame(), values, ids)
    return measured


def score(task: Task, variables: Mapping[str, Any], **options: Any) -> Rows:
    """The figures of `measure`, which takes the same arguments."""
    return {name: row.figures for name, row in measure(task, variables, **options).items()}


def parameter_count(variables: Mapping[str, Any]) -> int:
    """The number of trainable parameters; `variables` may hold shapes only."""
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(variables["params"]))


class _HalfASplitAway:
    """Each clip of a source exchanged for the clip half a split away, which shows other frames."""

    def __init__(self, source: pdr_datasets.Source) -> None:
        self._source = source

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: Any) -> Mapping[str, Any]:
        count = len(self._source)
        return self._source[(index + count // 2) % count]
