"""A task that raises, crashes or hangs costs one row."""

import os
import time

import pytest

from pallas_kernels.tools import isolated


def tasks():
    """Of which one raises, one ends its process and one hangs."""

    def refuse():
        raise NotImplementedError("not here")

    def lose_the_gpu():
        raise RuntimeError("CUDA_ERROR_ILLEGAL_ADDRESS")

    runs = {
        "good": lambda: {"value": 1},
        "refused": refuse,
        "lost": lose_the_gpu,
        "ended": lambda: os._exit(3),
        "hanging": lambda: time.sleep(100),
        "last": lambda: {"value": os.getpid()},
    }
    return [isolated.Task({"name": name}, run) for name, run in runs.items()]


@pytest.mark.rest
def test_a_broken_task_costs_one_row():
    deadline = time.monotonic() + 200
    rows = {row["name"]: row for row in isolated.rows(tasks, (), deadline, patience=12)}
    assert rows["good"]["value"] == 1
    assert rows["refused"]["refused"] == "NotImplementedError: not here"
    assert "CUDA_ERROR" in rows["lost"]["error"]
    assert rows["ended"]["error"] == "its process ended with 3"
    assert "silent" in rows["hanging"]["error"]
    assert rows["last"]["value"] != os.getpid()


def test_tasks_after_the_deadline_are_skipped():
    for run in (lambda *x: isolated.rows(*x, patience=1), isolated.rows_here):
        rows = list(run(tasks, (), time.monotonic()))
        assert len(rows) == 6
        assert all("skipped" in row for row in rows)
