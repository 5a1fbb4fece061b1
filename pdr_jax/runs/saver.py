"""When a run saves its state, and what is measured and shown of it then."""

import functools
import math
import time
from typing import Any

import jax

from pdr_jax import processes
from pdr_jax.evaluation.predictors import NotFiniteError
from pdr_jax.runs import preview
from pdr_jax.runs.checkpoints import Checkpoints
from pdr_jax.runs.digests import first_not_finite
from pdr_jax.runs.log import RunLog
from pdr_jax.runs.pace import DivergedError, diverged
from pdr_jax.runs.validation import validate
from pdr_jax.sharding import mesh_of
from pdr_jax.task import Task
from pdr_jax.train import TrainState


class Saver:
    """Saves checkpoints of what is finite: scored ones at fixed steps, others for safety."""

    def __init__(self, task: Task, checkpoints: Checkpoints, log: RunLog, batches: Any) -> None:
        self._task, self._checkpoints, self._log = task, checkpoints, log
        self._batches, self._time = batches, time.monotonic()

    def is_due(self) -> bool:
        """Whether the last checkpoint is `save_minutes` old."""
        minutes = self._task.recipe.save_minutes
        return 0 < 60 * minutes < time.monotonic() - self._time

    def score(self, state: TrainState, frames: jax.Array, loss: float) -> None:
        """Validates a state, and saves it with its score; `frames` and `loss` are of its step."""
        self._check(state)
        try:
            figures = validate(self._task, state, frames)
        except NotFiniteError as error:
            raise self._diverged(str(error), int(state.step)) from error
        self._log.write({"step": int(state.step), **figures})
        selection = self._task.selection
        figure = "denoising" if self._task.recipe.frozen else "mse"
        name = f"{selection[0]}_{figure}" if selection else "loss"
        score = figures.get(name, loss)
        if not math.isfinite(score):
            raise self._diverged(f"{name}={score}", int(state.step))
        self.save(state, score)
        if self._task.recipe.log:  # on all processes: they may hold the parameters together
            clip, predicted = preview.predict(self._task, state.variables(), mesh_of(frames))
            data_range = self._task.dataset.data_range
            draw = functools.partial(preview.draw, clip, predicted, data_range)
            self._log.show(int(state.step), draw)

    def save(self, state: TrainState, score: float) -> None:
        """Saves a state; `score` is infinity for one that was not validated."""
        self._check(state)
        processes.check_equal(state, f"step {int(state.step)}")
        self._checkpoints.save(
            state, data=self._batches.get_state(), config=self._task.recipe.to_json(), score=score
        )
        self._time = time.monotonic()

    def _check(self, state: TrainState) -> None:
        if name := first_not_finite(state):
            raise self._diverged(f"{name} is not finite", int(state.step))

    def _diverged(self, what: str, step: int) -> DivergedError:
        return diverged(f"{what} after step {step}", self._checkpoints.last_saved())
