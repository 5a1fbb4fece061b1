"""How a measurement came about: what every committed result records."""

import datetime
import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np


def origin(module: str, arguments: list[str] | None) -> dict:
    """Command, commit, versions and date of a module of this package that runs as a command.

    Args:
        module: its full name.
        arguments: of the command; None for those of this process.
    """
    given = sys.argv[1:] if arguments is None else arguments
    given = [Path(x).name if Path(x).is_absolute() else x for x in given]  # no machine's folders
    return {
        "command": shlex.join(["python", "-m", module, *given]),
        "commit": _commit(),
        "versions": {
            "python": platform.python_version(),
            "jax": jax.__version__,
            "numpy": np.__version__,
        },
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def hardware() -> dict:
    """What this process computes on, and how busy the machine is."""
    return {
        "device": jax.devices()[0].device_kind,
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
    }


def _commit() -> str:
    """The commit that is run, marked when pallas_kernels differs from it."""
    folder = Path(__file__).resolve().parent
    try:
        commit = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=folder, text=True)
        changes = subprocess.check_output(["git", "status", "--short", "."], cwd=folder, text=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit.strip() + (" with changes" if changes.strip() else "")


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((x.split(":", 1)[1].strip() for x in lines if x.startswith("model name")), "")
