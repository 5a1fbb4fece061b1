"""What a run writes and shows while it runs: metrics.jsonl always, TensorBoard when installed."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import jax
from rich.console import Console
from rich.live import Live
from rich.text import Text

try:
    from tensorboardX import SummaryWriter
except ImportError:
    SummaryWriter = None


class RunLog:
    """RUN/metrics.jsonl, one JSON object a line; written by the first process only."""

    def __init__(
        self, run: Path, report: Callable[[Mapping[str, float]], None] | None = None
    ) -> None:
        """Opens the log of a run folder; `report` is called with the figures as well."""
        self._path = run / "metrics.jsonl"
        self._report = report
        self._first = jax.process_index() == 0
        self._board = (
            SummaryWriter(str(run / "tensorboard")) if SummaryWriter and self._first else None
        )

    def rewind(self, step: int) -> None:
        """Drops the lines of steps after `step`, which will be repeated."""
        if self._first and self._path.exists():
            # What follows the last line's end is one that was cut off while it was written.
            *lines, _ = self._path.read_text().split("\n")
            kept = [line for line in lines if json.loads(line)["step"] <= step]
            partial = self._path.with_name(f".{self._path.name}.partial")
            partial.write_text("".join(f"{line}\n" for line in kept))
            partial.replace(self._path)

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


class ProgressLine:
    """One tidy line that is rewritten on a terminal, and plain lines when piped."""

    def __init__(self, label: str = "", *, every: float = 0.1) -> None:
        """`every` is the share of the run between two plain lines."""
        self._label, self._every, self._printed = label, every, -1.0
        self._live = Live(console=Console(), transient=False) if sys.stdout.isatty() else None

    def __enter__(self) -> "ProgressLine":
        waiting = f"{self._label:<22} compiling ..."
        if self._live is not None:
            self._live.start()
            self._live.update(Text(waiting))
        else:
            print(waiting, flush=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, figures: Mapping[str, float]) -> None:
        """Shows the figures of a logged step; lines of a checkpoint's figures are not shown."""
        if "loss" not in figures:
            return
        minutes, seconds = divmod(round(figures["seconds_left"]), 60)
        line = (
            f"{self._label:<22} step {figures['step']:>6}/{figures['steps']}  "
            f"loss {figures['loss']:.5f}  lr {figures['learning_rate']:.1e}  "
            f"{figures['frames_per_second']:>6.0f} frames/s  {minutes}:{seconds:02} left"
        )
        if self._live is not None:
            self._live.update(Text(line))
            return
        share = figures["step"] / figures["steps"]
        if share >= min(self._printed + self._every, 1.0) or self._printed < 0:
            print(line, flush=True)
            self._printed = share
