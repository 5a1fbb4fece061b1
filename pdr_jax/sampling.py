"""Scheduled sampling: which inputs of a recurrent predictor are true frames in training.

The other inputs are its own predictions. Everything is a pure function of the optimiser's step and
a key. The schedules are OpenSTL's (openstl/utils/predrnn_utils.py), taken there from PredRNN.
"""

import inspect
import math
import numbers
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike


class Chances(NamedTuple):
    """Probability that an input is the true frame, for observed and for future frames."""

    observed: ArrayLike
    future: ArrayLike


def scheduled(step: Array, *, rate: float = 2e-5, stop: int = 50_000) -> Chances:
    """Scheduled sampling: P(true future frame) falls linearly, and is 0 from step `stop` on."""
    chance = jnp.maximum(1.0 - rate * (step + 1), 0.0)
    return Chances(1.0, jnp.where(step < stop, chance, 0.0))


def reverse(
    step: Array, *, first: int = 25_000, second: int = 50_000, alpha: float = 5_000.0
) -> Chances:
    """Reverse scheduled sampling (PredRNN-V2), for every frame but the first.

    Before `first`, P(true frame) = 0.5; then, for observed frames, it rises to 1 with time constant
    `alpha`; for future frames it falls linearly to 0 at `second`.
    """
    late = step - first
    observed = jnp.where(step < first, 0.5, 1.0 - 0.5 * jnp.exp(-late / alpha))
    future = jnp.where(step < first, 0.5, 0.5 - 0.5 / (second - first) * late)
    return Chances(jnp.where(step < second, observed, 1.0), jnp.where(step < second, future, 0.0))


def teacher(step: Array, *, rate: float) -> Chances:
    """Teacher forcing (PhyDNet): all future frames of a batch are true, or none of them is."""
    return Chances(1.0, jnp.maximum(1.0 - rate * step, 0.0))


SCHEDULES: dict[str, Callable[..., Chances]] = {
    "scheduled": scheduled,
    "reverse": reverse,
    "teacher": teacher,
}


class Sampling(NamedTuple):
    """A schedule, and whether a whole batch shares one draw."""

    chances: Callable[[Array], Chances]
    together: bool = False

    def given(self, key: Array, step: Array, batch: int, length: int, horizon: int) -> Array:
        """Draws which inputs are true frames.

        Args:
          key: of the draw.
          step: optimiser steps taken.
          batch: clips, B.
          length: observed frames, T.
          horizon: predicted frames, T'.

        Returns:
          (B, T + T' - 1) bool. The first input is always true, and the last frame is no input.
        """
        observed, future = self.chances(step)
        one, two = jax.random.split(key)
        seen = jax.random.bernoulli(one, observed, (batch, length - 1))
        shape = (1, 1) if self.together else (batch, horizon - 1)
        predicted = jax.random.bernoulli(two, future, shape)
        return jnp.concatenate(
            [
                jnp.ones((batch, 1), bool),
                seen,
                jnp.broadcast_to(predicted, (batch, horizon - 1)),
            ],
            axis=1,
        )


def create(name: str, /, **options: float) -> Sampling:
    """The schedule called `name` with its options bound.

    Raises:
      ValueError: the name is unknown; or an option is unknown, missing or out of range.
    """
    if name not in SCHEDULES:
        raise ValueError(f"sampling={name!r}: expected one of {', '.join(SCHEDULES)}")
    schedule = SCHEDULES[name]
    parameters = inspect.signature(schedule).parameters
    defaults = {key: value.default for key, value in parameters.items() if key != "step"}
    if unknown := sorted(set(options) - set(defaults)):
        raise ValueError(
            f"sampling_options.{unknown[0]}: expected an option of {name!r}: "
            f"{', '.join(sorted(defaults))}"
        )
    _check(defaults | options)
    return Sampling(lambda step: schedule(step, **options), together=name == "teacher")


def _check(options: dict[str, Any]) -> None:
    for option, value in options.items():
        if value is inspect.Parameter.empty:
            raise ValueError(f"sampling_options.{option} is missing: expected a number, 0 or more")
        if not isinstance(value, numbers.Real) or not math.isfinite(value) or value < 0:
            raise ValueError(f"sampling_options.{option}={value!r}: expected a number, 0 or more")
    if options.get("alpha") == 0:
        raise ValueError("sampling_options.alpha=0: expected more than 0")
    if "first" in options and options["first"] >= options["second"]:
        raise ValueError(
            f"sampling_options.second={options['second']}: expected more than "
            f"first={options['first']}"
        )
