"""Figures of a run's model and of the controls."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_runs import moving_blobs

from pdr_datasets import Units
from pdr_jax.evaluation import predictors
from pdr_jax.evaluation.measuring import score, stream
from pdr_jax.metrics import Evaluator
from pdr_jax.train import ClipSpec


@pytest.fixture(scope="module")
def rows(finished):
    _, task, state = finished
    return score(task, state.variables(), batch_size=4, label="pdr")


def test_controls_stand_beside_the_model(rows):
    assert list(rows) == ["pdr", "persistence", "pdr, coarse", "pdr, mean Y", "pdr, shuffled Y"]
    for replaced in ("mean Y", "shuffled Y"):
        assert rows["pdr"]["mse"] != rows[f"pdr, {replaced}"]["mse"]


def test_controls_by_hand(finished, rows):
    """Y replaced by its mean, its own coverage kept; and Y and coverage of another clip."""
    _, task, state = finished
    frames = jnp.stack([task.test[i]["frames"] for i in range(len(task.test))])
    observed, truth = task.clip.split(frames)

    def apply(method, *arrays):
        function = functools.partial(task.model.apply, method=method)
        return jax.jit(function)(state.variables(), *arrays)

    own = apply("decompose", observed)
    half = len(task.test) // 2
    mean = jnp.broadcast_to(own.rendered.mean((0, 1), keepdims=True), own.rendered.shape)
    drawn = {
        "coarse": own.coarse,
        "mean Y": apply("fuse", own.coarse, mean, own.coverage).prediction,
        "shuffled Y": apply(
            "fuse", own.coarse, *(jnp.roll(x, half, 0) for x in (own.rendered, own.coverage))
        ).prediction,
    }
    for name, prediction in drawn.items():
        error = ((prediction - truth) ** 2).sum((2, 3, 4)).mean()
        assert rows[f"pdr, {name}"]["mse"] == pytest.approx(float(error), rel=1e-4), name


def test_predictions_that_are_not_finite_are_refused(finished):
    _, task, state = finished
    broken = jax.tree.map(lambda leaf: leaf * np.nan, state.variables())
    with pytest.raises(predictors.NotFiniteError, match=r"clip \d+ is not finite"):
        score(task, broken, batch_size=4)


def test_a_single_clip_is_not_shuffled(finished):
    _, task, state = finished
    alone = task._replace(test=[task.test[0]])
    rows = score(alone, state.variables(), batch_size=4, label="pdr")
    assert list(rows) == ["pdr", "persistence", "pdr, coarse", "pdr, mean Y"]


def test_persistence_by_hand(rows):
    frames = moving_blobs()[16:].astype(np.float64) / 255
    error = (frames[:, 2:] - frames[:, 1:2]) ** 2
    assert rows["persistence"]["mse"] == pytest.approx(error.sum((2, 3, 4)).mean(), rel=1e-5)


@pytest.mark.parametrize(
    "options", [{"batch_size": 3}, {"batch_size": 8, "devices": 8, "controls": False}]
)
def test_figures_do_not_depend_on_batches_or_devices(finished, rows, options):
    _, task, state = finished
    again = score(task, state.variables(), label="pdr", **options)
    for label, figures in again.items():
        assert figures.keys() == rows[label].keys()
        for name, value in figures.items():
            assert value == pytest.approx(rows[label][name], rel=1e-5), (label, name)


def test_what_cannot_be_scored_is_refused(finished):
    _, task, state = finished
    with pytest.raises(ValueError, match="split='train'"):
        score(task, state.variables(), split="train")
    assert jax.device_count() == 8
    with pytest.raises(ValueError, match="batch_size=6: expected a multiple of the 4 devices"):
        score(task, state.variables(), batch_size=6, devices=4)


def test_persistence_is_perfect_on_a_still_clip():
    still = np.repeat(moving_blobs(4, 1), 4, axis=1)
    evaluator = Evaluator(("mse", "mae"))
    ids = stream(
        predictors.persistence,
        lambda: [{"frames": still[:3], "id": range(3)}, {"frames": still[3:], "id": [3]}],
        clip=ClipSpec(2, 2, Units()),
        batch_size=3,
        evaluator=evaluator,
    )
    assert ids.tolist() == [0, 1, 2, 3]
    assert evaluator.compute() == {"mse": 0, "mae": 0}
    assert evaluator.count == 4
