"""Reads SASS, the machine code of NVIDIA's GPUs, as nvdisasm prints it."""

import re
from collections.abc import Sequence
from typing import NamedTuple


class Instruction(NamedTuple):
    """One instruction of a kernel."""

    operation: str
    """With its modifiers: "FFMA", "MUFU.EX2", "LDG.E.128"."""
    target: int | None
    """Where a branch goes, as an index into the kernel's instructions."""


class Loop(NamedTuple):
    """The innermost loop that evaluates most exponentials."""

    instructions: int
    exponentials: int

    @property
    def instructions_per_pair(self) -> float:
        """For each pair of a pixel and a Gaussian, which costs one exponential."""
        return self.instructions / self.exponentials


def parse(text: str) -> dict[str, list[Instruction]]:
    """Instructions of every kernel in what `nvdisasm -c` prints, padding after the end left out."""
    kernels: dict[str, list[Instruction]] = {}
    for section in re.split(r"^\.text\.(?=\S+:$)", text, flags=re.MULTILINE)[1:]:
        name, _, body = section.partition(":\n")
        labels: dict[str, int] = {}
        lines: list[tuple[str, str]] = []
        for line in body.splitlines():
            if label := re.match(r"(\S+):$", line):
                labels[label[1]] = len(lines)
            elif code := re.match(r"\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?\S+\s+)?(\w[^\s;]*)(.*)", line):
                lines.append((code[1], code[2]))
        while len(lines) > 1 and lines[-1][0] == "NOP":
            lines.pop()
        kernels[name] = [Instruction(operation, _target(x, labels)) for operation, x in lines]
    return kernels


def hot_loop(instructions: Sequence[Instruction]) -> Loop | None:
    """The loop that draws, or None if no loop evaluates exponentials.

    A loop is what lies between a branch and the earlier instruction that it jumps to.
    """
    loop = _hottest(instructions)
    return loop and loop[1]


def nest(instructions: Sequence[Instruction]) -> list[Sequence[Instruction]]:
    """The kernel and the loops around the one that draws, from the outermost to that one.

    Each without the next: the instructions that run as often as that loop. Other loops are part of
    the one that they are in.
    """
    hot = _hottest(instructions)
    if hot is None:
        return [instructions]
    (first, last), _ = hot
    around = [(a, b) for a, b in _spans(instructions) if a <= first and last <= b]
    bounds = [(0, len(instructions) - 1), *sorted(around, key=lambda span: span[0] - span[1])]
    inner = [*bounds[1:], (last + 1, last)]
    return [
        [*instructions[a:c], *instructions[d + 1 : b + 1]]
        for (a, b), (c, d) in zip(bounds, inner, strict=True)
    ]


def _spans(instructions):
    """The first and the last instruction of every loop."""
    return [
        (x.target, end)
        for end, x in enumerate(instructions)
        if x.target is not None and x.target <= end
    ]


def _hottest(instructions):
    """Where the loop that draws is, and what it holds; None if there is none."""
    spans = _spans(instructions)
    loops = {}
    for start, end in spans:
        body = instructions[start : end + 1]
        if count := sum(x.operation == "MUFU.EX2" for x in body):
            loops[start, end] = Loop(len(body), count)
    innermost = [
        ((start, end), loop)
        for (start, end), loop in loops.items()
        if not any(start <= a and b <= end and (a, b) != (start, end) for a, b in loops)
    ]
    return max(innermost, key=lambda found: found[1].exponentials, default=None)


def _target(operands, labels):
    found = re.search(r"`\((\S+)\)", operands)
    return labels.get(found[1]) if found else None
