"""How a measurement came about, what every committed result records, and how it is written."""

import datetime
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import jax


def origin(
    module: str,
    arguments: Sequence[str] | None = None,
    packages: Iterable[str] = ("jax", "numpy"),
) -> dict[str, Any]:
    """Command, commit, versions and date of a module that runs as a command.

    Args:
        module: its full name.
        arguments: of the command; None for those of this process.
        packages: whose versions are recorded, beside Python's.
    """
    given = sys.argv[1:] if arguments is None else arguments
    given = [Path(x).name if Path(x).is_absolute() else x for x in given]  # no machine's folders
    return {
        "command": shlex.join(["python", "-m", module, *given]),
        "commit": COMMIT,
        "versions": {"python": platform.python_version()} | {x: _version(x) for x in packages},
        "date": datetime.date.today().isoformat(),
    }


def hardware() -> dict[str, Any]:
    """What this process computes on, and how busy the machine is."""
    return {
        "device": jax.devices()[0].device_kind,
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
    }


def write(path: Path, content: Any) -> None:
    """Writes a record as JSON, whole or not at all, and the folder that it goes into."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".partial")
    unfinished.write_text(json.dumps(content, indent=1) + "\n")
    unfinished.replace(path)


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
"""Of the code that this process has loaded, and whether tracked files differ from it."""


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = (x.partition(":")[2].strip() for x in lines if x.startswith("model name"))
    return next(models, platform.processor() or platform.machine())
