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
from pdr_jax.evaluation import draws, predictors, protocols
from pdr_jax.evaluation.draws import Draw
from pdr_jax.evaluation.figures import Figures, Measured
from pdr_jax.evaluation.predictors import Batches, Predict
from pdr_jax.evaluation.speed import frames_per_second
from pdr_jax.recipes import Protocol
from pdr_jax.sharding import make_mesh, on_host, own_copy, shard_whole, state_shardings, traced_for
from pdr_jax.task import Task
from pdr_jax.train import ClipSpec

Rows = dict[str, dict[str, float]]


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
        _check_finite(predicted[None], batch["id"])
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
    samples: int = 0,
    seed: int = 0,
    thresholds: tuple[float, ...] = (),
    features: Mapping[str, metrics.Features] | None = None,
    speed: bool = False,
    others: Mapping[str, Predict] | None = None,
) -> dict[str, Measured]:
    """Figures of a task's model on a split and, with `controls`, of its controls.

    With `samples`, the model's futures have a row of their own, if it draws any: figures of frames
    and of events are then means over the samples, and there are those of the best of n. Every row
    has a CRPS, which of a point prediction is its mean absolute error.

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
      samples: futures drawn of each clip, n; 0 for none. All n of a batch are in memory at a time.
      seed: of the draws, see `pdr_jax.evaluation.draws`.
      thresholds: of events, in stored units; by default those of the data set.
      features: networks whose Fréchet distances are measured, by the figure's name.
      speed: adds "fps" to the rows of the model, see `pdr_jax.evaluation.speed`; of its samples it
        is that of one.
      others: predictors to measure beside the model, by label.

    Returns:
      What was measured of each row, by label: the model first, its samples, then the controls.

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
    drawn_label = f"{label} ({samples} sample{'s' * (samples != 1)})"
    point = predictors.predictor(task.model, variables)
    rows: dict[str, tuple[int, Draw]] = {label: (1, _once(point))}
    if samples and draws.can_draw(task.model):
        drawn = draws.drawer(task.model, variables, samples=samples, seed=seed)
        rows[drawn_label] = (samples, drawn)
    rows |= {name: (1, _once(predict)) for name, predict in (others or {}).items()}
    if controls:
        rows["persistence"] = (1, _once(predictors.persistence))
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
        rows |= {f"{label}, {name}": (1, _once(predict)) for name, predict in ablated.items()}
    figures = protocols.figures(
        task.dataset,
        protocol,
        names=names,
        extra=extra,
        raft=raft,
        keep_samples=keep_samples or samples > 0,
        ensemble=samples > 0,
        thresholds=thresholds,
        features=features,
    )
    measured = _pass(
        {name: (count, traced_for(mesh, draw)) for name, (count, draw) in rows.items()},
        batches,
        clip=task.clip,
        batch_size=batch_size,
        figures=figures,
        place=place,
    )
    if not keep_samples:
        measured = {name: dataclasses.replace(row, values={}) for name, row in measured.items()}
    if drawn_label in measured:
        measured[drawn_label].details["seed"] = seed
    elif samples:
        measured[label].details.setdefault("notes", []).append(
            f"{label} draws no futures: its CRPS is the mean absolute error of its prediction."
        )
    if speed:
        clip = np.asarray(source[0]["frames"])[None]
        observed, _ = task.clip.split(jnp.asarray(clip))
        variables = own_copy(variables)
        for name, timed in (
            (label, _once(predictors.predictor(task.model, variables))),
            (drawn_label, draws.drawer(task.model, variables, samples=1, seed=seed)),
        ):
            if name in measured:
                rate = frames_per_second(timed, observed, task.clip.horizon)
                measured[name].figures["fps"] = rate
    return measured


def _pass(
    rows: Mapping[str, tuple[int, Draw]],
    batches: Batches,
    *,
    clip: ClipSpec,
    batch_size: int,
    figures: Figures,
    place: Callable[[np.ndarray], jax.Array],
) -> dict[str, Measured]:
    """What is measured of each row's samples of every clip; otherwise as `stream`.

    All rows see a batch before the next one is read, so that what is measured of the truth, such as
    its optical flow, is measured once.
    """
    found = {name: figures.another() for name in rows}
    first = next(iter(rows))
    ids = []
    for batch in batches():
        frames, valid = predictors.padded(np.asarray(batch["frames"]), batch_size)
        words, _ = predictors.padded(draws.as_words(batch["id"]), batch_size)
        observed, target = clip.split(place(frames))
        for name, (_, draw) in rows.items():
            drawn = draw(observed, place(words), clip.horizon)
            _check_finite(drawn, batch["id"])
            found[name].update(drawn, observed, target, valid, truth=name == first)
        ids.append(batch["id"])
    counts = np.array([len(part) for part in ids])
    return {
        name: found[name].measured(np.concatenate(ids), counts, samples=samples)
        for name, (samples, _) in rows.items()
    }


def _once(predict: Predict) -> Draw:
    """A point prediction, as one sample."""
    return lambda observed, _, horizon: predict(observed, horizon)[None]


def _check_finite(samples: jax.Array, ids: np.ndarray) -> None:
    """Raises `NotFiniteError` for samples (n, B, T', H, W, C) with a value that is not finite."""
    finite = on_host(jnp.isfinite(samples).all(axis=(0, 2, 3, 4, 5)))
    if not finite.all():
        bad = ids[int(np.argmin(finite))]
        raise predictors.NotFiniteError(f"prediction: that of clip {bad} is not finite")


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
