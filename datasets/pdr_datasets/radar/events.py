"""Events: stretches of maps without a gap in time; and which of them are for testing."""

import hashlib
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

PARTS = ("train", "val", "test")
RULES = ("event", "date", "last")
_TOLERANCE = 0.2  # of the step


class Event(NamedTuple):
    """Maps first ... first + frames - 1, in the order of time; named by the time of the first."""

    name: str
    first: int
    frames: int

    @property
    def date(self) -> str:
        """The day (UTC) on which it begins."""
        return self.name.partition("T")[0]


def find_events(times: np.ndarray, step: float) -> tuple[list[Event], float]:
    """The events of times that ascend, and the step in minutes.

    Neighbours within a fifth of the step follow one another; a longer distance begins a new event.

    Args:
      times: (n,) datetime64[s].
      step: minutes; 0 for the commonest distance of neighbours.

    Raises:
      ValueError: there is one time only, or two neighbours are closer than a step.
    """
    distances = np.diff(times).astype(np.int64) / 60
    if not len(distances):
        raise ValueError(f"there is one map only, of {times[0]}: expected a series.")
    if not step:
        found, counts = np.unique(distances, return_counts=True)
        step = float(found[np.argmax(counts)])
    short = np.flatnonzero(distances < (1 - _TOLERANCE) * step)
    if len(short):
        first, second = times[short[0]], times[short[0] + 1]
        raise ValueError(
            f"{second} comes {distances[short[0]]:g} minutes after {first}, and the step is "
            f"{step:g}: expected no time between. Remove it, or set step."
        )
    edges = [0, *(np.flatnonzero(distances > (1 + _TOLERANCE) * step) + 1), len(times)]
    events = [
        Event(str(times[first])[:16], int(first), int(last - first))
        for first, last in itertools.pairwise(edges)
    ]
    return events, step


def split_events(
    events: Sequence[Event], rule: str, *, test_fraction: float, val_fraction: float, seed: int
) -> list[str]:
    """The part of each event.

    Args:
      events: in the order of time.
      rule: "event" draws each event; "date" draws days, with all events that begin on them; "last"
        takes the last events for testing, and those before them for validation.
      test_fraction: share of the events, or of the days, for testing; at least one if not 0.
      val_fraction: share for validation, rounded.
      seed: of the draw, which depends on the times alone.

    Raises:
      ValueError: none is left for training.
    """
    groups = [event.date if rule == "date" else event.name for event in events]
    order = sorted(set(groups), key=lambda group: _digest(seed, group))
    if rule == "last":
        order = sorted(set(groups), reverse=True)
    tests = max(1, round(test_fraction * len(order))) if test_fraction else 0
    vals = round(val_fraction * len(order))
    if tests + vals >= len(order):
        raise ValueError(
            f"split={rule!r}, test_fraction={test_fraction}, val_fraction={val_fraction}: of "
            f"{len(order)} {'days' if rule == 'date' else 'events'} none is left for training. Add "
            "files, or lower the fractions (0 and 0 train on all)."
        )
    where = {
        group: "test" if place < tests else "val" if place < tests + vals else "train"
        for place, group in enumerate(order)
    }
    return [where[group] for group in groups]


def _digest(seed: int, group: str) -> bytes:
    return hashlib.blake2b(f"{seed}/{group}".encode()).digest()
