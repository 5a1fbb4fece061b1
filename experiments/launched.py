"""Starts several processes of this machine that find each other, each with simulated devices."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]


class Ended(NamedTuple):
    """How a process ended: its exit status, what it printed, and when."""

    status: int
    out: str
    err: str
    seconds: float
    """After the call of `finish`."""


def start(
    words: Sequence[str], *, count: int = 2, devices: int = 1, cwd: Path, flags: str = ""
) -> list[subprocess.Popen[str]]:
    """Starts `python WORDS` as often as asked, with the variables by which the processes join.

    Args:
      words: of the command line, after Python's own.
      count: of processes; one has nothing to join.
      devices: that each simulates.
      cwd: where they run.
      flags: of XLA besides.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices} {flags}",
        "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("", "datasets", "tests")),
    }
    started = []
    for index in range(count):
        joined = {
            "JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}",
            "JAX_NUM_PROCESSES": str(count),
            "JAX_PROCESS_ID": str(index),
        }
        started.append(
            subprocess.Popen(
                [sys.executable, *words],
                cwd=cwd,
                env=shared | (joined if count > 1 else {}),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    return started


def finish(processes: Sequence[subprocess.Popen[str]], seconds: float = 600) -> list[Ended]:
    """How each ended, in order; those that have not within `seconds` are killed."""
    begun = time.monotonic()
    ended = []
    for process in processes:
        try:
            out, err = process.communicate(timeout=max(begun + seconds - time.monotonic(), 1))
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
        ended.append(Ended(process.returncode, out, err, time.monotonic() - begun))
    return ended


def run(words: Sequence[str], **options: object) -> list[Ended]:
    """`start` and `finish`.

    Raises:
      RuntimeError: a process has failed.
    """
    ended = finish(start(words, **options))  # type: ignore[arg-type]
    for index, each in enumerate(ended):
        if each.status:
            raise RuntimeError(f"process {index} ended with status {each.status}: {each.err}")
    return ended


def signalled(
    processes: Sequence[subprocess.Popen[str]],
    when: Callable[[], bool],
    number: signal.Signals,
    index: int,
) -> list[Ended]:
    """Sends a signal to one of the processes as soon as `when` is true, and waits for all."""
    while not when() and all(process.poll() is None for process in processes):
        time.sleep(0.1)
    processes[index].send_signal(number)
    return finish(processes, seconds=120)
