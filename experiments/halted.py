"""Runs pdr and halts it at a moment, so that another process can kill it right there.

    python -m experiments.halted MARK EVENT PATTERN COUNT train kth ...

At the COUNT-th EVENT whose subject fits PATTERN, it makes the file MARK and waits until that is
gone. An EVENT is

* one of Python's audit events whose subject is a path, such as os.rename; it comes before the act;
* "change": any audit event that changes files;
* "call": the subject is a function of pdr_jax by its full name, such as pdr_jax.runs.fit.start;
* "start": before anything is imported.
"""

import functools
import importlib
import itertools
import os
import signal
import sys
import time
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

CHANGES = ("open", "os.mkdir", "os.remove", "os.rename", "os.rmdir")


def main() -> None:
    """Runs the command that follows the moment."""
    mark, event, pattern, count, *command = sys.argv[1:]
    # A shell's background jobs are born ignoring SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if event == "start":
        _halt(Path(mark))
    sys.addaudithook(_hook(Path(mark), event, pattern, int(count)))
    if event == "call":
        _announce(pattern)
    from pdr_jax.commands import main as pdr  # after the moment "start"

    pdr(command)


def _hook(mark: Path, event: str, pattern: str, count: int) -> Callable[[str, tuple], None]:
    """What Python calls at every audit event."""
    wanted = CHANGES if event == "change" else (event,)
    number = itertools.count(1)

    def hook(name: str, arguments: tuple) -> None:
        if name not in wanted or (name == "open" and not _writes(*arguments)):
            return
        if fnmatchcase(str(arguments[0]), pattern) and next(number) == count:
            _halt(mark)

    return hook


def _writes(path: Any, mode: Any, flags: int) -> bool:
    del path, mode
    return bool(flags & (os.O_WRONLY | os.O_RDWR))


def _halt(mark: Path) -> None:
    mark.touch()
    parent = os.getppid()
    while mark.exists():
        if os.getppid() != parent:  # nobody is left who would remove the mark
            os._exit(1)
        time.sleep(0.01)


def _announce(name: str) -> None:
    """Makes every call of a function, or of a class's method, an audit event."""
    module, _, path = name.rpartition(".")
    owner: Any
    try:
        owner = importlib.import_module(module)
    except ModuleNotFoundError:  # a class
        module, _, kind = module.rpartition(".")
        owner = getattr(importlib.import_module(module), kind)
    function = getattr(owner, path)

    @functools.wraps(function)
    def announced(*arguments: Any, **options: Any) -> Any:
        sys.audit("call", name)
        return function(*arguments, **options)

    setattr(owner, path, announced)


if __name__ == "__main__":
    main()
