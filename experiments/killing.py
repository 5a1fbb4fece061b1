"""Starts commands of pdr in processes, and kills them at a moment."""

import dataclasses
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PATIENCE = 600  # seconds until a process counts as hanging


@dataclasses.dataclass(frozen=True)
class Moment:
    """An event in a process; see `experiments.halted`."""

    event: str
    pattern: str = "*"
    count: int = 1


class Place:
    """A folder in which commands run, with caches of their own: a start then takes seconds."""

    def __init__(self, folder: Path, cache: Path | None = None) -> None:
        """Commands run in `folder`; `cache` is for compiled programs, by default in it."""
        self.folder = folder
        cache = cache or folder / "cache"
        searched = [str(ROOT), str(ROOT / "datasets")]
        self._environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([*searched, os.environ.get("PYTHONPATH", "")]),
            "PYTHONPYCACHEPREFIX": str(cache / "python"),
            "JAX_PLATFORMS": "cpu",
            "JAX_COMPILATION_CACHE_DIR": str(cache / "jax"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "XLA_FLAGS": "--xla_backend_optimization_level=0",
            "MPLCONFIGDIR": str(cache / "matplotlib"),
        }
        self._environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def pdr(self, *command: object) -> None:
        """Runs a command to its end.

        Raises:
          RuntimeError: its exit status is not 0; the message is the last line of its output.
        """
        with tempfile.TemporaryFile() as output:
            process = self._start("pdr_jax.commands", command, output)
            if _status(process):
                output.seek(0)
                *_, last = output.read().decode(errors="replace").strip().splitlines() or [""]
                raise RuntimeError(last.replace(f"{self.folder}/", ""))

    def kill(self, command: Sequence[object], when: Moment | float, number: signal.Signals) -> int:
        """Runs a command and sends it a signal.

        Args:
          command: what follows `pdr`.
          when: the moment, or seconds after its start.
          number: the signal.

        Returns:
          The exit status as a shell has it, 128 + N for a process that signal N ended. A command
          that ends before the moment gets no signal.
        """
        mark = self.folder / "halted"
        moment = when if isinstance(when, Moment) else Moment("never")
        given = [mark, *dataclasses.astuple(moment), *command]
        start = time.monotonic()
        with tempfile.TemporaryFile() as output:
            process = self._start("experiments.halted", given, output)
            while process.poll() is None and not mark.exists():
                if isinstance(when, float) and time.monotonic() > start + when:
                    break
                if time.monotonic() > start + PATIENCE:
                    process.kill()
                time.sleep(0.01)
            if process.poll() is None:
                process.send_signal(number)
            if number == signal.SIGKILL:
                process.wait()  # before the mark is gone, or it would go on
            mark.unlink(missing_ok=True)
            return _status(process)

    def _start(self, module: str, command: Sequence[object], output: Any) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-m", module, *map(str, command)],
            cwd=self.folder,
            env=self._environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def _status(process: subprocess.Popen) -> int:
    try:
        status = process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return status if status >= 0 else 128 - status
