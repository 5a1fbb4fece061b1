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

A GPU runs command buffers, many kernels in one launch, without their names (openxla/xprof#3070).
"""

import bisect
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

STEP, DATA = "train", "data"
"""The names of the host's annotations in a trace."""

PARTS = (
    *("data", "backbone", "adapter", "renderer", "fusion"),
    *("residual", "loss", "optimiser", "rest"),
)
"""The scopes of `pdr_jax.train` and `pdr_jax.pdr`, after "data" and before "rest"."""

_SCOPE = re.compile(rf"(?:^|[/(])({'|'.join(PARTS[1:-1])})(?=[/)]|$)")
_INSTRUCTION = re.compile(r"\s+(ROOT )?%?([\w.\-]+) = (.*)")
_COMPUTATION = re.compile(r"(?:ENTRY )?%?([\w.\-]+) .*\{$")
_CONTAINER = re.compile(r" (while|call|conditional)\(")
_LOOP = 1e6  # nanoseconds that a training's loop takes at most between two steps


class Operation(NamedTuple):
    """What an instruction belongs to ("" if that is not known), and whether it only runs others."""

    part: str
    contains: bool


_UNKNOWN = Operation("", contains=False)


def operations(hlo: str) -> dict[str, Operation]:
    """The instructions of a compiled module by name, from its text."""
    found: dict[str, Operation] = {}
    computation, roots = "", dict[str, str]()
    for line in hlo.splitlines():
        if instruction := _INSTRUCTION.match(line):
            root, name, text = instruction.groups()
            contains = bool(_CONTAINER.search(text))
            part = _part(text, {}, {}) if contains else _part(text, found, roots)
            found[name] = Operation(part, contains)
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
    names = re.findall(r"%([\w.\-]+)", text)
    parts = [roots.get(name) or found.get(name, _UNKNOWN).part for name in names]
    return next((part for part in parts if part not in ("", "rest")), "")


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
      The shares add up to 1. They are empty if the trace names less than half of the operations.
    """
    with warnings.catch_warnings():
        # The reader's types have no __module__, which Python 3.12 dislikes.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        events = list(_events(jax.profiler.ProfileData.from_file(str(trace)), hlo))
    seconds = divide(events)
    unknown, total = seconds.pop("", 0.0), sum(seconds.values())
    seconds["rest"] += unknown
    if sum(seconds.get(part, 0.0) for part in PARTS[1:-1]) <= unknown:
        return total + unknown, {}
    return total + unknown, {part: seconds.get(part, 0.0) / (total + unknown) for part in PARTS}


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
        together = np.sum(list(running.values()), axis=0)
        for part, count in running.items():
            share = count[free] / np.maximum(together[free], 1)
            seconds[part] = seconds.get(part, 0.0) + float(share @ lengths[free])
        free &= together == 0
    return seconds


def _events(trace: jax.profiler.ProfileData, hlo: str) -> Iterator[Event]:
    known = operations(hlo)
    module = hlo.removeprefix("HloModule ").partition(",")[0]
    steps: list[tuple[float, float]] = []
    runs: dict[bool, list[tuple[Event, _Run]]] = {True: [], False: []}
    ends: dict[object, float] = {}
    for plane in trace.planes:
        on_device = plane.name.startswith("/device:")
        for line in plane.lines:
            for event in line.events:
                if event.name == STEP and not on_device:
                    steps.append((event.start_ns, event.end_ns))
                elif event.name == DATA and not on_device:
                    yield Event(event.start_ns, event.end_ns, 2, "data")
                elif event.name.startswith("end: "):
                    ends[dict(event.stats).get("_c")] = event.end_ns
                elif run := _run(event, line.name, module):
                    part, contains = known.get(run.name, _UNKNOWN)
                    made = Event(event.start_ns, event.end_ns, int(contains), part)
                    runs[on_device].append((made, run))
    steps.sort()
    yield from (Event(*step, 3, "rest") for step in steps)
    # Where there are devices, the host's events of the same names are launches.
    for made, run in runs[True] or runs[False]:
        before = bisect.bisect(steps, (made.start + _LOOP,)) - 1
        if run.certain or (before >= 0 and made.start <= steps[before][1] + _LOOP):
            yield made._replace(end=max(made.end, ends.get(run.key, made.end)))


class _Run(NamedTuple):
    """A run of an instruction, which may be another module's if it is not `certain`.

    On a CPU the event of a convolution ends when other threads have taken it over. An event "end:
    NAME", whose consumer "_c" is the producer "_p" of the first, its key, tells when they finish.
    """

    name: str
    certain: bool = False
    key: object = ""


def _run(event: jax.profiler.ProfileEvent, line: str, module: str) -> _Run | None:
    """The run of an instruction of the module that an event is, if it is one."""
    stats = dict(event.stats)
    if "hlo_op" in stats:  # a CPU's threads and a GPU's streams
        if stats.get("hlo_module", module) != module:
            return None
        return _Run(str(stats["hlo_op"]), "hlo_module" in stats, stats.get("_p", ""))
    if line.startswith("Stream") and not event.name.startswith("Mem"):  # memory is copied and set
        return _Run("")
    if line == "XLA Ops":  # a TPU names an event by its instruction: "%fusion.3 = f32[8]{0} ..."
        return _Run(event.name.partition(" = ")[0].lstrip("%"))
    return None


def describe(seconds: float, shares: Mapping[str, float]) -> str:
    """For example "212 ms: data 1%, backbone 61%, ..., rest 1%"."""
    time = f"{seconds:.3g} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"
    if not shares:
        return (
            f"{time}; how it divides is not known, as the trace does not name most operations (on "
            "a GPU it may with XLA_FLAGS=--xla_gpu_enable_command_buffer=)"
        )
    parts = [
        f"{part} {share:.0%}" for part, share in shares.items() if share or part in ("data", "rest")
    ]
    return f"{time}: {', '.join(parts)}"
