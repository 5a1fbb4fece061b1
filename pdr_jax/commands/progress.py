"""What a command that takes long shows: a bar on a terminal, a line now and then in a pipe."""

import contextlib
import functools
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping

import jax
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

_COMPILED = "/jax/core/compile/backend_compile_duration"
PAUSE = 30.0  # seconds between two lines in a pipe


class TrainingProgress:
    """Shows how long compiling the step took, and the scalars of logged steps."""

    def __init__(self, label: str = "", *, every: float = 0.1) -> None:
        """`every` is the share of the run between two lines in a pipe."""
        self._label, self._every, self._printed = label, every, -1.0
        self._begun: float | None = None  # while the step is not compiled
        self._bar: Progress | None = None
        if sys.stdout.isatty():
            console = Console()
            self._width = console.width
            self._bar = Progress(*_columns(self._width), console=console)
            self._task = self._bar.add_task(label, total=None, scalars="compiling ...")

    def __enter__(self) -> "TrainingProgress":
        self._begun = time.monotonic()
        _watched()[:] = [self]
        if self._bar is not None:
            self._bar.start()
        else:
            self._print("compiling ...")
        return self

    def __exit__(self, *_: object) -> None:
        _watched().clear()
        if self._bar is not None:
            self._bar.stop()

    def compiled(self) -> None:
        """The first step can begin."""
        if self._begun is None:
            return
        text = f"compiled in {_clock(time.monotonic() - self._begun)}"
        self._begun = None
        if self._bar is not None:
            self._bar.console.print(f"{self._label}: {text}", highlight=False)
            self._bar.update(self._task, scalars="first steps ...")
        else:
            self._print(text)

    def __call__(self, figures: Mapping[str, float]) -> None:
        """Shows the scalars of a logged step, and skips the figures of a checkpoint."""
        if "loss" not in figures:
            return
        step, steps = int(figures["step"]), int(figures["steps"])
        loss, rate = f"loss {figures['loss']:.5f}", f"{figures['learning_rate']:.1e}"
        speed = f"{figures['frames_per_second']:>6.0f} frames/s"
        scalars = f"{loss}  lr {rate}  {speed}"
        if self._bar is not None:
            short = loss if self._width < 75 else f"{loss}  {speed}"
            scalars = short if self._width < 90 else scalars
            self._bar.update(self._task, completed=step, total=steps, scalars=scalars)
        elif self._printed < 0 or step / steps >= min(self._printed + self._every, 1.0):
            left = _clock(figures["seconds_left"])
            self._print(f"step {step:>6}/{steps}  {scalars}  {left} left")
            self._printed = step / steps

    def _print(self, text: str) -> None:
        print(f"{self._label:<22} {text}", flush=True)


@contextlib.contextmanager
def working(text: str) -> Iterator[Callable[[int, int], None]]:
    """Shows on standard error that a block runs, for how long, and how far it is where it says so.

    Args:
      text: what is done, such as "scoring runs/plain".

    Yields:
      report(done, total), which the block may call.
    """
    if not sys.stderr.isatty():
        with _lines(text) as report:
            yield report
        return
    columns: list[ProgressColumn] = [SpinnerColumn(), TextColumn("{task.description}")]
    columns += [TextColumn("{task.fields[done]}"), TimeElapsedColumn()]
    with Progress(
        *columns,
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=sys.stdout.isatty(),  # else what is printed would not get into a file
    ) as bar:
        task = bar.add_task(text, total=None, done="")
        yield lambda done, total: bar.update(task, done=f"{done} of {total}")


@contextlib.contextmanager
def _lines(text: str) -> Iterator[Callable[[int, int], None]]:
    """A line on standard error every `PAUSE` seconds while a block runs."""
    begun, ended, state = time.monotonic(), threading.Event(), [""]

    def tell() -> None:
        while not ended.wait(PAUSE):
            words = f"{text}: {state[0]}{_clock(time.monotonic() - begun)} so far"
            print(words, file=sys.stderr, flush=True)

    def report(done: int, total: int) -> None:
        state[0] = f"{done} of {total}, "

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield report
    finally:
        ended.set()
        thread.join()


def _columns(width: int) -> list[ProgressColumn]:
    """Those of the bar of a training, as many as a terminal has room for."""
    columns: list[ProgressColumn] = [TextColumn("{task.description}")] if width >= 60 else []
    columns += [BarColumn(30)] if width >= 120 else []
    columns += [MofNCompleteColumn(), TextColumn("{task.fields[scalars]}")]
    return [*columns, TimeRemainingColumn()]


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"


@functools.cache
def _watched() -> list[TrainingProgress]:
    """The training that runs; JAX tells it when the step is compiled."""
    watched: list[TrainingProgress] = []

    def told(event: str, duration_secs: float, **about: str | int) -> None:
        del duration_secs  # without tracing
        if event == _COMPILED and "train_step" in str(about.get("fun_name")):
            for progress in watched:
                progress.compiled()

    jax.monitoring.register_event_duration_secs_listener(told)
    return watched
