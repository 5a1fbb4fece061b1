"""Where a step's time goes, from a trace of `jax.profiler` and the text of the compiled step.

Each moment goes to what runs then, the first of these that does:

* operations of the step, on any device or thread; several share the moment equally. While loops,
  calls and conditionals count only when nothing within them runs;
* the host, waiting for data;
* the rest of the step: the host and the devices between operations.

So the parts add up to the time of the steps, data that is loaded while a device computes takes no
time, and what is done between steps (validation, checkpoints) does not count.

An operation belongs to the innermost part in its `op_name`, the path of names under which JAX
traced it; gradients have that of what they are the gradient of. Of a fusion it is the root's. What
XLA adds without a name (copies, transposes) belongs to the part of what it works on.
"""

import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

STEP, DATA = "train", "data"
"""The names of the host's annotations in a trace."""

PARTS = ("data", "backbone", "adapter", "renderer", "fusion", "loss", "optimiser", "rest")
"""The scopes of `pdr_jax.train` and `pdr_jax.pdr`, after "data" and before "rest"."""

_SCOPE = re.compile(rf"(?:^|[/(])({'|'.join(PARTS[1:-1])})(?=[/)]|$)")
_INSTRUCTION = re.compile(r"\s+(ROOT )?%?([\w.\-]+) = (.*)")
_COMPUTATION = re.compile(r"(?:ENTRY )?%?([\w.\-]+) .*\{$")
_CONTAINER = re.compile(r" (while|call|conditional)\(")


class Operation(NamedTuple):
    """What an instruction belongs to, and whether it only runs others."""

    part: str
    contains: bool


def operations(hlo: str) -> dict[str, Operation]:
    """The instructions of a compiled module by name, from its text."""
    found: dict[str, Operation] = {}
    computation, roots = "", dict[str, str]()
    for line in hlo.splitlines():
        if instruction := _INSTRUCTION.match(line):
            root, name, text = instruction.groups()
            part = _part(text, found, roots)
            found[name] = Operation(part, bool(_CONTAINER.search(text)))
            if root:
                roots[computation] = part
        elif header := _COMPUTATION.match(line):
            computation = header[1]
    return found


def _part(text: str, found: Mapping[str, Operation], roots: Mapping[str, str]) -> str:
    if path := re.search(r'op_name="([^"]*)"', text):
        scopes = _SCOPE.findall(path[1])
        return scopes[-1] if scopes else "rest"
    # A module's text names operands before their users, and computations before their callers.
    for name in re.findall(r"%([\w.\-]+)", text):
        part = roots.get(name) or (found[name].part if name in found else "rest")
        if part != "rest":
            return part
    return "rest"


class Event(NamedTuple):
    """An interval of a trace, in nanoseconds; of overlapping ones the lowest `layer` counts."""

    start: float
    end: float
    layer: int
    part: str


def read(trace: Path, hlo: str) -> tuple[float, dict[str, float]]:
    """The seconds of all steps in a trace, and each part's share of them, from 0 to 1.

    Args:
      trace: an xplane.pb that has the annotations STEP and DATA.
      hlo: the text of the step's compiled module.

    Returns:
      The shares add up to 1. They are empty if the trace shows no operation of a part.
    """
    with warnings.catch_warnings():
        # The reader's types have no __module__, which Python 3.12 dislikes.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        events = list(_events(jax.profiler.ProfileData.from_file(str(trace)), hlo))
    seconds = divide(events)
    total = sum(seconds.values())
    if not set(seconds) - {"data", "rest"}:
        return total, {}
    return total, {part: seconds.get(part, 0.0) / total for part in PARTS}


def divide(events: list[Event]) -> dict[str, float]:
    """The seconds of each part, by the rule at the top of this file."""
    times = np.array([time for event in events for time in (event.start, event.end)])
    order = np.argsort(times, kind="stable")
    lengths = np.diff(times[order], append=times[order[-1:]]) / 1e9
    free = np.ones(len(times), bool)
    seconds: dict[str, float] = {}
    for layer in sorted({event.layer for event in events}):
        running = {}
        for part in {event.part for event in events if event.layer == layer}:
            mine = [event.layer == layer and event.part == part for event in events]
            change = np.outer(mine, [1, -1]).ravel()
            running[part] = np.cumsum(change[order])
        together = sum(running.values())
        for part, count in running.items():
            share = count[free] / np.maximum(together[free], 1)
            seconds[part] = seconds.get(part, 0.0) + float(share @ lengths[free])
        free &= together == 0
    return seconds


def _events(trace: jax.profiler.ProfileData, hlo: str) -> Iterator[Event]:
    known = operations(hlo)
    module = hlo.removeprefix("HloModule ").partition(",")[0]
    computed: dict[bool, list[tuple[Event, object]]] = {True: [], False: []}
    ends: dict[object, float] = {}
    for plane in trace.planes:
        on_device = plane.name.startswith("/device:")
        for line in plane.lines:
            for event in line.events:
                if event.name == STEP and not on_device:
                    yield Event(event.start_ns, event.end_ns, 3, "rest")
                elif event.name == DATA and not on_device:
                    yield Event(event.start_ns, event.end_ns, 2, "data")
                elif event.name.startswith("end: "):
                    ends[dict(event.stats).get("_c")] = event.end_ns
                elif found := _operation(event, line.name, module):
                    name, key = found
                    part, contains = known.get(name, Operation("rest", False))
                    made = Event(event.start_ns, event.end_ns, int(contains), part)
                    computed[on_device].append((made, key))
    # Where there are devices, the host's events of the same names are launches.
    for made, key in computed[True] or computed[False]:
        yield made._replace(end=max(made.end, ends.get(key, made.end)))


def _operation(
    event: jax.profiler.ProfileEvent, line: str, module: str
) -> tuple[str, object] | None:
    """The instruction of the module that an event is a run of, and the key of its end.

    On a CPU the event of a convolution ends when other threads have taken it over. An event "end:
    NAME", whose consumer "_c" is the producer "_p" of the first, tells when they have finished.
    """
    stats = dict(event.stats)
    if "hlo_op" in stats:  # a CPU's threads and a GPU's streams
        if stats.get("hlo_module", module) != module:
            return None
        return str(stats["hlo_op"]), stats.get("_p", event)
    if line == "XLA Ops":  # a TPU names an event by its instruction: "%fusion.3 = f32[8]{0} ..."
        return event.name.partition(" = ")[0].lstrip("%"), event
    return None


def describe(seconds: float, shares: Mapping[str, float]) -> str:
    """For example "212 ms: data 1%, backbone 61%, ..., rest 1%"."""
    time = f"{seconds:.3g} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"
    if not shares:
        return f"{time}; how it divides is not known, as the trace names no part of the model"
    parts = [
        f"{part} {share:.0%}" for part, share in shares.items() if share or part in ("data", "rest")
    ]
    return f"{time}: {', '.join(parts)}"
