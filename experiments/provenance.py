"""What every committed result records of how it came about."""

import datetime
import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax

from pdr_jax.runs.checkpoints import versions

RESULTS = Path(__file__).parent / "results"


def _commit() -> str:

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(Path(__file__).parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + (" with uncommitted changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


COMMIT = _commit()
"""Of the code that this process has loaded, and whether tracked files differed from it."""


def record(*, seeds: list[int]) -> dict[str, Any]:
    """Command, commit, versions, hardware, date and seeds of the process that calls it."""
    module = Path(sys.argv[0]).stem
    hardware = f"{_processor()}, {os.cpu_count()} cores; jax on {jax.devices()[0].device_kind}"
    # A path is of this machine only; the file's name is what tells something.
    arguments = shlex.join(Path(a).name if Path(a).is_absolute() else a for a in sys.argv[1:])
    return {
        "command": f"python -m experiments.{module} {arguments}".strip(),
        "commit": COMMIT,
        "versions": {"python": platform.python_version(), **versions()},
        "hardware": hardware,
        "date": datetime.date.today().isoformat(),
        "seeds": seeds,
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
