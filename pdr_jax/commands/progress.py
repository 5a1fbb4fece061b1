"""The progress of a training run: a bar on a terminal, a line now and then in a pipe."""

import sys
from collections.abc import Mapping

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class TrainingProgress:
    """Shows the scalars of logged steps."""

    def __init__(self, label: str = "", *, every: float = 0.1) -> None:
        """`every` is the share of the run between two lines in a pipe."""
        self._label, self._every, self._printed = label, every, -1.0
        self._bar: Progress | None = None
        if sys.stdout.isatty():
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[scalars]}"),
                TimeRemainingColumn(),
            )
            self._task = self._bar.add_task(label, total=None, scalars="compiling ...")

    def __enter__(self) -> "TrainingProgress":
        if self._bar is not None:
            self._bar.start()
        else:
            print(f"{self._label:<22} compiling ...", flush=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, figures: Mapping[str, float]) -> None:
        """Shows the scalars of a logged step, and skips the figures of a checkpoint."""
        if "loss" not in figures:
            return
        step, steps = int(figures["step"]), int(figures["steps"])
        scalars = (
            f"loss {figures['loss']:.5f}  lr {figures['learning_rate']:.1e}  "
            f"{figures['frames_per_second']:>6.0f} frames/s"
        )
        if self._bar is not None:
            self._bar.update(self._task, completed=step, total=steps, scalars=scalars)
        elif self._printed < 0 or step / steps >= min(self._printed + self._every, 1.0):
            minutes, seconds = divmod(round(figures["seconds_left"]), 60)
            print(
                f"{self._label:<22} step {step:>6}/{steps}  {scalars}  {minutes}:{seconds:02} left",
                flush=True,
            )
            self._printed = step / steps
