"""Runs tasks in other processes, each within a time: a task that crashes or hangs costs one row.

A GPU kernel that reads out of bounds leaves its whole process without a GPU, and one that waits
for itself cannot be interrupted. So a process works through a list of tasks; where it ends early or
is silent for too long, another one goes on with the task after that.
"""

import multiprocessing
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

Row = dict[str, Any]


class Task(NamedTuple):
    """A measurement: what it is of, and the function that takes it."""

    label: Row
    run: Callable[[], Row]


Make = Callable[..., Sequence[Task]]
"""Makes the tasks, the same ones in every process; found by name, so a function of a module."""


def rows(make: Make, arguments: tuple, deadline: float, patience: float) -> Iterator[Row]:
    """The rows of all tasks, in other processes.

    Args:
        make: makes the tasks.
        arguments: its arguments.
        deadline: on the clock of `time.monotonic`, when everything has to be over.
        patience: the most seconds for one task, the start of its process included.

    Yields:
        For every task its label with what it returned, or with "error" (it raised, ended its
        process or said nothing), "refused" (it raised NotImplementedError) or "skipped".
    """
    tasks = make(*arguments)
    context = multiprocessing.get_context("spawn")
    done = 0
    while done < len(tasks) and time.monotonic() < deadline:
        receive, send = context.Pipe(duplex=False)
        child = context.Process(target=_work, args=(make, arguments, done, send), daemon=True)
        child.start()
        send.close()
        try:
            while done < len(tasks):
                wait = min(patience, deadline - time.monotonic())
                if not receive.poll(max(wait, 0)):
                    late = "no time was left" if wait < patience else f"silent for {patience:g} s"
                    yield {**tasks[done].label, "error": f"stopped: {late}"}
                    done += 1
                    break
                row = receive.recv()
                yield row
                done += 1
                if "CUDA_ERROR" in row.get("error", ""):
                    break  # the process has no GPU any more
        except EOFError:
            child.join(5)
            yield {**tasks[done].label, "error": f"its process ended with {child.exitcode}"}
            done += 1
        finally:
            child.kill()
            child.join()
    for task in tasks[done:]:
        yield {**task.label, "skipped": "no time was left"}


def rows_here(make: Make, arguments: tuple, deadline: float) -> Iterator[Row]:
    """The rows of all tasks, in this process; tasks are left out after the deadline."""
    for task in make(*arguments):
        if time.monotonic() < deadline:
            yield attempt(task)
        else:
            yield {**task.label, "skipped": "no time was left"}


def attempt(task: Task) -> Row:
    """The row of one task, whatever it raises."""
    start = time.monotonic()
    try:
        row = {**task.label, **task.run()}
    except NotImplementedError as error:
        row = {**task.label, "refused": _short(error)}
    except Exception as error:
        traceback.print_exc()
        row = {**task.label, "error": _short(error)}
    return {**row, "seconds": round(time.monotonic() - start, 2)}


def _short(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:300]}"


def _work(make: Make, arguments: tuple, first: int, send: Connection) -> None:
    """Sends the rows of the tasks from `first` on."""
    for task in make(*arguments)[first:]:
        send.send(attempt(task))
