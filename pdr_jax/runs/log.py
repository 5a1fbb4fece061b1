"""The log of a run: metrics.jsonl always, TensorBoard events when tensorboardX is installed."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import jax

from pdr_jax.files import replacing

try:
    from tensorboardX import SummaryWriter
except ImportError:
    SummaryWriter = None


class RunLog:
    """RUN/metrics.jsonl, one JSON object a line; written by the first process only."""

    def __init__(
        self, run: Path, report: Callable[[Mapping[str, float]], None] | None = None
    ) -> None:
        """Opens the log of a run folder; `report` is also called with every line's figures."""
        self._path = run / "metrics.jsonl"
        self._report = report
        self._first = jax.process_index() == 0
        self._board = (
            SummaryWriter(str(run / "tensorboard")) if SummaryWriter and self._first else None
        )

    def rewind(self, step: int) -> None:
        """Drops the lines of steps after `step`, which will be repeated."""
        if self._first and self._path.exists():
            # Text after the last line break is a line whose writing was interrupted.
            *lines, _ = self._path.read_text().split("\n")
            kept = [line for line in lines if json.loads(line)["step"] <= step]
            with replacing(self._path) as partial:
                partial.write_text("".join(f"{line}\n" for line in kept))

    def write(self, figures: Mapping[str, float]) -> None:
        """Writes the figures of one step; `figures` has the key "step"."""
        if self._first:
            with self._path.open("a") as file:
                file.write(json.dumps(dict(figures)) + "\n")
        if self._board is not None:
            for name, value in figures.items():
                self._board.add_scalar(name, value, int(figures["step"]))
        if self._report is not None:
            self._report(figures)

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(self, *_: object) -> None:
        if self._board is not None:
            self._board.close()
