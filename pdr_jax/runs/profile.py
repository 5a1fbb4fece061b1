"""A trace of some steps of a training, for XProf and Perfetto, and a line that sums it up.

With DIR = RUN/profile/plugins/profile/DATE, what opens the trace:

    xprof --logdir RUN/profile          or TensorBoard with its profile plugin
    DIR/perfetto_trace.json.gz          in ui.perfetto.dev
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax

from pdr_jax.runs import profile_parts
from pdr_jax.runs.log import Remark


def steps_of(text: str) -> range:
    """The steps that FIRST:END means, as Python's slices do: "10:20" is the ten steps 10 to 19.

    Raises:
      ValueError: `text` is not of this form, or holds no step.
    """
    first, colon, end = text.partition(":")
    if not (colon and first.isdecimal() and end.isdecimal()):
        raise ValueError(f"profile={text!r}: expected FIRST:END, such as 10:20 for steps 10 to 19")
    if int(first) >= int(end):
        raise ValueError(f"profile={text!r}: holds no step; expected FIRST:END with FIRST < END")
    return range(int(first), int(end))


class Profiler:
    """Traces some steps of a training loop; without steps it does nothing.

        step_function = profiler.watch(step_function)
        with profiler:
            for number in steps:
                with profiler.step(number):
                    with profiler.data():
                        frames = ...
                    state, scalars = step_function(state, frames)

    The trace begins and ends with a device at rest, so it holds whole steps.
    """

    def __init__(
        self, steps: range | None, run: Path, remark: Remark, *, done: int, last: int
    ) -> None:
        """Plans the trace; of several processes, the first makes it.

        Args:
          steps: what to trace, numbered as in the log, from 1.
          run: the run's folder; the trace lies in its folder "profile".
          remark: called with the line about the steps, and with the place of the trace.
          done: the step that the training goes on from.
          last: the last step of the training.

        Raises:
          ValueError: a step is compiled in its time, or is not among those to come.
        """
        self._steps = steps or range(0)
        if self._steps and not done + 1 < self._steps[0] <= self._steps[-1] <= last:
            raise ValueError(
                f"profile={self._steps[0]}:{self._steps[-1] + 1}: expected steps from {done + 2} "
                f"to {last}, the training's last (step {done + 1} compiles and cannot be traced)"
            )
        if jax.process_index() > 0:
            self._steps = range(0)
        self._folder, self._remark = run / "profile", remark
        self._traced = 0
        self._tracing = False

    def watch(self, step_function: Any) -> Callable:
        """A jitted function (state, frames) -> (state, scalars), which is the step to trace."""
        if not self._steps:
            return step_function
        self._function = step_function

        def watched(state: Any, frames: jax.Array) -> Any:
            self._frames, self._output = frames, step_function(state, frames)
            return self._output

        return watched

    @contextlib.contextmanager
    def step(self, number: int) -> Iterator[None]:
        """Around a step and its line in the log."""
        if number not in self._steps:
            yield
            return
        if number == self._steps[0]:
            self._start()
        with jax.profiler.StepTraceAnnotation(profile_parts.STEP, step_num=number):
            yield
            if number == self._steps[-1]:
                jax.block_until_ready(self._output)
        self._traced += 1
        if number == self._steps[-1]:
            self._finish()

    def data(self) -> contextlib.AbstractContextManager:
        """Around what waits for the batch of a step, and puts it on the devices."""
        if not self._tracing:
            return contextlib.nullcontext()
        return jax.profiler.TraceAnnotation(profile_parts.DATA)

    def __enter__(self) -> "Profiler":
        return self

    def __exit__(self, error: object, *_: object) -> None:
        """Ends a trace whose last step did not come."""
        if self._tracing and error is None:
            self._finish()
        elif self._tracing:
            with contextlib.suppress(OSError, RuntimeError):
                jax.profiler.stop_trace()

    def _start(self) -> None:
        jax.block_until_ready(self._output)
        options = jax.profiler.ProfileOptions()
        options.python_tracer_level = 0  # every call of a Python function slows the steps
        jax.profiler.start_trace(self._folder, create_perfetto_trace=True, profiler_options=options)
        self._tracing = True

    def _finish(self) -> None:
        jax.block_until_ready(self._output)
        self._tracing = False
        try:
            jax.profiler.stop_trace()
        except (OSError, RuntimeError) as error:  # a full disk is no reason to stop training
            self._remark(f"profile: the trace could not be written: {error}")
            return
        file = max(
            self._folder.glob("plugins/profile/*/*.xplane.pb"),
            key=lambda path: path.stat().st_mtime,
        )
        # It is compiled already: this finds it.
        compiled = self._function.lower(self._output[0], self._frames).compile()
        seconds, shares = profile_parts.read(file, compiled.as_text() or "")
        first, time = self._steps[0], profile_parts.describe(seconds / self._traced, shares)
        self._remark(f"a step takes {time} (steps {first} to {first + self._traced - 1})")
        self._remark(
            f"their trace is in {file.parent}: perfetto_trace.json.gz is for ui.perfetto.dev, and "
            f"xprof --logdir {self._folder} shows all"
        )
