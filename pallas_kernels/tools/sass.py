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
    spans = [
        (x.target, end)
        for end, x in enumerate(instructions)
        if x.target is not None and x.target <= end
    ]
    loops = {}
    for start, end in spans:
        body = instructions[start : end + 1]
        if count := sum(x.operation == "MUFU.EX2" for x in body):
            loops[start, end] = Loop(len(body), count)
    innermost = [
        loop
        for (start, end), loop in loops.items()
        if not any(start <= a and b <= end and (a, b) != (start, end) for a, b in loops)
    ]
    return max(innermost, key=lambda loop: loop.exponentials, default=None)


def _target(operands, labels):
    found = re.search(r"`\((\S+)\)", operands)
    return labels.get(found[1]) if found else None
