"""Reads the text of a compiled program: what it sends between devices, its loops and its kernels.

    program = read(jax.jit(f).lower(x).compile().as_text())

The text is XLA's HLO. Operations in groups of one device move nothing and are left out. What stands
in the body of a loop counts as often as it runs, where XLA knows how often that is, and else once.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")

NO_TRAFFIC = {"parameter", "constant", "tuple", "get-tuple-element", "bitcast", "while", "call"}

_NAME = re.compile(r"\s+(?:ROOT )?%?([\w.-]+) = ")
_NAMES = re.compile(r"%([\w.-]+)")
_OPERANDS = re.compile(r"[^)]*")
_COMPUTATION = re.compile(r"(ENTRY )?%?([\w.-]+) \(.*\) -> .* \{")
_INSTRUCTION = re.compile(r"\s+(?:ROOT )?%?[\w.-]+ = (.*?) ([a-z][\w-]*)\(")
_CALLED = re.compile(r"(?:calls|to_apply|body|condition|\w+_computations?)=(\{[^}]*\}|%?[\w.-]+)")
_TRIPS = re.compile(r"known_trip_count\W+n\W+(\d+)")
_TARGET = re.compile(r'custom_call_target="([^"]*)"')
_MESH_GROUPS = re.compile(r"replica_groups=mesh\[([^]]*)\] \{([^}]*)\}")
_WHERE = re.compile(r'op_name="([^"]*)"')
_ARRAY = re.compile(r"(pred|[a-z]+\d+)\w*\[([\d,]*)\]")


class Collective(NamedTuple):
    """An operation between devices."""

    kind: str
    bytes: int
    """Of its result, on one device."""
    times: int
    """How often it runs in one call of the program."""
    where: str
    """The names of JAX's scopes around it; of several that were joined, one's."""


class Program(NamedTuple):
    """What `read` finds."""

    collectives: list[Collective]
    loops: list[int]
    """How often the body of each `while` runs; 0 where XLA does not know."""
    custom_calls: Counter[str]
    """By target."""
    traffic: int
    """Bytes that operations read and write in memory; those inside a fusion stay in registers."""


def read(text: str) -> Program:
    """Reads the HLO text of one compiled program."""
    entry, computations = _computations(text)
    collectives, loops, custom_calls, traffic = [], [], Counter[str](), 0
    fused = {name for lines in computations.values() for line in lines for name in _fused(line)}
    for name, times in _times(entry, computations).items():
        lines = computations[name]
        if name not in fused:
            traffic += times * _traffic(lines)
        for line in lines:
            shape, operation = _shape_and_operation(line)
            kind = operation.removesuffix("-start")
            if kind in KINDS and not _alone(line):
                where = _found(_WHERE, line) or ""
                size = _bytes(_result(shape) if operation != kind else shape)
                collectives.append(Collective(kind, size, times, where))
            elif operation == "while":
                loops.append(int(_found(_TRIPS, line) or 0))
            elif operation == "custom-call":
                custom_calls[_found(_TARGET, line) or ""] += times
    return Program(collectives, loops, custom_calls, traffic)


def summed(collectives: list[Collective]) -> dict[str, dict[str, int]]:
    """Operations and bytes of a call, by kind; kinds that are absent are left out."""
    return {
        kind: {
            "operations": sum(x.times for x in collectives if x.kind == kind),
            "bytes": sum(x.times * x.bytes for x in collectives if x.kind == kind),
        }
        for kind in KINDS
        if any(x.kind == kind for x in collectives)
    }


def _computations(text: str) -> tuple[str, dict[str, list[str]]]:
    """The name of the entry, and the lines of each computation by name."""
    entry = ""
    computations: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        if found := _COMPUTATION.match(line):
            lines = computations[found[2]] = []
            entry = found[2] if found[1] else entry
        elif _INSTRUCTION.match(line):
            lines.append(line)
    return entry, computations


def _times(entry: str, computations: Mapping[str, list[str]]) -> Counter[str]:
    """How often each computation runs."""
    times: Counter[str] = Counter()

    def run(name: str, count: int) -> None:
        times[name] += count
        for line in computations[name]:
            _, operation = _shape_and_operation(line)
            trips = int(_found(_TRIPS, line) or 1) if operation == "while" else 1
            for called in _called(line):
                if called in computations:
                    run(called, count * trips)

    run(entry, 1)
    return times


def _fused(line: str) -> Iterator[str]:
    """The computations that run for each element of an operation, not by themselves."""
    if _shape_and_operation(line)[1] not in ("while", "conditional", "call", "async-start"):
        yield from _called(line)


def _traffic(lines: list[str]) -> int:
    """Bytes of the operands and the results of a computation's operations."""
    shapes = {_found(_NAME, line): _bytes(_shape_and_operation(line)[0]) for line in lines}
    total = 0
    for line in lines:
        shape, operation = _shape_and_operation(line)
        if operation not in NO_TRAFFIC and not operation.endswith("-done"):
            operands = _OPERANDS.search(line.partition(f" {operation}(")[2])
            assert operands is not None
            total += _bytes(shape) + sum(shapes.get(x, 0) for x in _NAMES.findall(operands[0]))
    return total


def _called(line: str) -> Iterator[str]:
    for names in _CALLED.findall(line):
        yield from (name.strip(" %") for name in names.strip("{}").split(","))


def _shape_and_operation(line: str) -> tuple[str, str]:
    found = _INSTRUCTION.match(line)
    assert found is not None
    return found[1], found[2]


def _alone(line: str) -> bool:
    """Whether an operation's groups have one device each, as along an axis of length 1."""
    if found := _MESH_GROUPS.search(line):
        sizes = dict(re.findall(r"('\w+')=(\d+)", found[1]))
        return all(sizes[axis] == "1" for axis in re.findall(r"'\w+'", found[2]))
    return bool(re.search(r"replica_groups=(\{\{\d+\}|\[\d+,1\]<=)", line))


def _result(shape: str) -> str:
    """What a started operation will give: its shape may be (operand, result, ...)."""
    if not shape.startswith("("):
        return shape
    depth, parts = 0, [""]
    for letter in shape[1:-1]:
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts[1]


def _bytes(shape: str) -> int:
    """Of an array or a tuple of arrays."""
    return sum(
        math.prod(int(x) for x in sizes.split(",") if x) * _width(dtype)
        for dtype, sizes in _ARRAY.findall(shape)
    )


def _width(dtype: str) -> int:
    """Bytes of an element."""
    return 1 if dtype == "pred" else max(int(re.sub(r"\D", "", dtype)) // 8, 1)


def _found(pattern: re.Pattern[str], line: str) -> Any:
    found = pattern.search(line)
    return found and found[1]
