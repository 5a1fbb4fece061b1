"""The log of a run: metrics.jsonl always, TensorBoard events when tensorboardX is installed."""

import contextlib
import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import jax

from pdr_jax.files import finite, replacing

try:
    from tensorboardX.event_file_writer import EventsWriter
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.summary import scalar
except ImportError:
    EventsWriter = None

Report = Callable[[Mapping[str, float]], None]
# Called with what a person should read, a line at a time.
Remark = Callable[[str], None]


class RunLog:
    """RUN/metrics.jsonl, one JSON object a line; written by the first process only.

    Numbers that are not finite, which JSON does not know, are written as null.
    """

    def __init__(self, run: Path, remark: Remark, report: Report | None = None) -> None:
        """Opens the log of a run folder; `report` is also called with every line's figures."""
        self._path, self._remark, self._report = run / "metrics.jsonl", remark, report
        self._first = jax.process_index() == 0
        self._board = _Board(run / "tensorboard") if EventsWriter and self._first else None

    def rewind(self, step: int) -> None:
        """Drops the lines of steps after `step`, which will be repeated, and tells of odd lines."""
        if not (self._first and self._path.exists()):
            return
        lines = _whole_lines(self._path)
        for number, (line, entry) in enumerate(lines, 1):
            if entry is None:
                self._remark(
                    f"{self._path}, line {number} is no entry and is dropped: {line[:80]!r}"
                )
        kept = [line for line, entry in lines if entry is not None and entry <= step]
        with replacing(self._path) as partial:
            partial.write_text("".join(f"{line}\n" for line in kept))

    def write(self, figures: Mapping[str, float]) -> None:
        """Writes the figures of one step; `figures` has the key "step"."""
        if self._first:
            with self._path.open("a") as file:
                file.write(json.dumps(finite(figures), allow_nan=False) + "\n")
        if self._board is not None:
            try:
                self._board.write(figures)
            except OSError as error:
                self._board = None
                self._remark(f"no more events for TensorBoard: {error}")
        if self._report is not None:
            self._report(figures)

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(self, *_: object) -> None:
        if self._board is not None:
            self._board.close()


def odd_lines(path: Path) -> list[int]:
    """The numbers, from 1, of the lines of a log that are no entries."""
    return [number for number, (_, entry) in enumerate(_whole_lines(path), 1) if entry is None]


def _whole_lines(path: Path) -> list[tuple[str, float | None]]:
    """Each line of a log and its step, or None if it is no entry."""

    def step(line: str) -> float | None:
        try:
            return float(json.loads(line)["step"])
        except (ValueError, TypeError, KeyError, RecursionError):
            return None

    # Text after the last line break is a line whose writing was interrupted.
    *lines, _ = path.read_text(errors="replace").split("\n")
    return [(line, step(line)) for line in lines]


class _Board:
    """Events for TensorBoard, written at once.

    SummaryWriter has a thread for it, and waits for ever when a full disk has ended that thread.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._writer = EventsWriter(str(folder / "events"), f".{os.getpid()}")

    def write(self, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            event = Event(step=int(figures["step"]), wall_time=time.time())
            event.summary.CopyFrom(scalar(name, value))
            self._writer.write_event(event)
        self._writer.flush()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._writer.close()
