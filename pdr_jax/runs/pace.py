"""Losses and speed of the steps between two lines of the log."""

import time
from collections.abc import Callable, Mapping

import jax
import numpy as np

from pdr_jax.task import Optimisation


class DivergedError(RuntimeError):
    """The loss, the state or the validation error is no longer finite."""


class Pace:
    """Collects the scalars of steps, and fetches them from the device once a line of the log.

    Fetching waits for the device, so it is not done at every step.
    """

    def __init__(self, plan: Optimisation, *, frames_per_step: int) -> None:
        """`plan` has the length of the run; `frames_per_step` counts observed and future frames."""
        self._plan, self._frames = plan, frames_per_step
        self._pending: list[tuple[int, np.ndarray, Mapping[str, jax.Array]]] = []
        self._clock, self._untimed = 0.0, 1  # the first step of this process compiles

    def add(self, step: int, ids: np.ndarray, scalars: Mapping[str, jax.Array]) -> None:
        """Adds the scalars of a step, and the ids of the clips in its batch."""
        self._pending.append((step, ids, scalars))
        self._clock = self._clock or time.perf_counter()

    def figures(self, last_saved: Callable[[], int | None]) -> dict[str, float]:
        """A line of the log for the last step; forgets the steps before it.

        Args:
          last_saved: returns the step of the last checkpoint, or None.

        Raises:
          DivergedError: a loss is not finite; the message names the last good checkpoint.
        """
        for step, ids, scalars in self._pending:
            if not np.isfinite(loss := float(scalars["loss"])):
                raise diverged(f"loss={loss} at step {step}, clips {ids.tolist()}", last_saved())
        step, _, scalars = self._pending[-1]
        timed = max(len(self._pending) - self._untimed, 1)
        seconds = (time.perf_counter() - self._clock) / timed
        self._pending, self._untimed = [], 0
        self.restart()
        return {
            "step": step,
            "steps": self._plan.steps,
            **{name: float(value) for name, value in scalars.items()},
            "learning_rate": float(self._plan.schedule(step - 1)),
            "frames_per_second": self._frames / seconds,
            "seconds_left": (self._plan.steps - step) * seconds,
        }

    def restart(self) -> None:
        """Restarts the clock, so that checkpoints and validation do not count as training time."""
        self._clock = time.perf_counter()


def diverged(what: str, last_checkpoint: int | None) -> DivergedError:
    """The error that stops a run; checkpoints hold finite states only, so the last one is good."""
    good = "none yet" if last_checkpoint is None else f"step {last_checkpoint}"
    return DivergedError(
        f"{what}; last good checkpoint: {good}. A lower learning_rate or clip_norm=1 usually helps."
    )
