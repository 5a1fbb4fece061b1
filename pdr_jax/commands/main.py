"""`pdr`: finds the command, runs it, and says what was wrong with its input.

Only the command's own module is imported, so that help is there at once.
"""

import argparse
import contextlib
import inspect
import io
import os
import re
import signal
import sys
import threading
import traceback
import typing
from collections.abc import Callable, Iterator
from importlib import import_module, metadata
from typing import Any, NamedTuple


class Command(NamedTuple):
    """Where a command is, and what it does in a line."""

    module: str
    """In pdr_jax.commands."""
    function: str
    help: str
    made: bool = False
    """Whether the function makes the command from the words of the command line."""


COMMANDS = {
    "train": Command("train", "train_command", "train a predictor, with or without PDR", made=True),
    "eval": Command("eval", "evaluate", "score runs by the field's metrics, beside controls"),
    "predict": Command("predict", "predict", "predict the frames that follow"),
    "report": Command("report", "report_runs", "a page of runs for the browser, in one file"),
    "check": Command("check", "check", "verify a run folder"),
    "models": Command("models", "models", "the predictors, and each one's card"),
    "data": Command("data", "data_command", "list, show and prepare data sets", made=True),
    "export": Command("export", "export", "a run's predictor as a program, and for Hugging Face"),
    "import-openstl": Command(
        "import_openstl", "import_openstl", "make a run from a checkpoint of the public code"
    ),
    "export-openstl": Command(
        "export_openstl", "export_openstl", "write a run's backbone for the public code"
    ),
    "demo": Command("demo", "demo", "train a plain predictor and PDR, and compare them"),
    "doctor": Command("doctor", "doctor", "versions, machine, data and kernels, for a bug report"),
}

EXAMPLES = """
examples:
  pdr doctor                                        which kernels run here
  pdr demo                                          a plain predictor and PDR, side by side
  pdr models simvp_moga                             a predictor's card
  pdr data prepare kth --manual-dir ~/kth           from the official .avi files
  pdr train kth --backbone tau --adapter predgs --loss l1_ssim
  pdr train --resume runs/kth-tau-predgs-l1_ssim-seed0
  pdr eval runs/kth-tau-predgs-l1_ssim-seed0
  pdr report runs/kth-tau-predgs-l1_ssim-seed0 --out report.html
  pdr check runs/kth-tau-predgs-l1_ssim-seed0
  pdr predict runs/kth-tau-predgs-l1_ssim-seed0 clips.npy future.npy --gif future.gif
  pdr export runs/kth-tau-predgs-l1_ssim-seed0 exported/kth    StableHLO, safetensors, model card
  pdr import-openstl checkpoint.pth --out runs/theirs --dataset kth --config SimVP_gSTA.py
  pdr train kth --init-from runs/theirs --adapter predgs
  pdr export-openstl runs/theirs --out theirs.pth
"""
_BUG = "This is a bug of pdr-jax. Please report it with the command and what follows."


def main(argv: list[str] | None = None) -> None:
    """Runs a command; bad input ends it with a message and exit status 2."""
    argv = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal may not know every character
            stream.reconfigure(errors="replace")
    with _exit_on_sigterm():
        try:
            try:
                _run(argv)
            finally:
                sys.stdout.flush()
        except KeyboardInterrupt:
            print("interrupted")
            sys.exit(130)
        except BrokenPipeError:  # nobody reads on, as after `| head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(141)
        except Exception:
            print(_BUG, file=sys.stderr)
            _leave(1, traceback.format_exc())
            raise


def _run(argv: list[str]) -> None:
    name = argv[0] if argv else "--help"
    if name.startswith("--tyro-"):  # a script that completes all commands
        import tyro

        from pdr_jax.commands.completion import all_commands

        tyro.cli(all_commands(), prog="pdr", args=argv)
    elif name in COMMANDS:
        _call(name, argv)
    else:
        _overview().parse_args([name])


def _call(name: str, argv: list[str]) -> None:
    import tyro

    command = None
    try:
        command = load(name, argv)
        tyro.cli(command, prog=f"pdr {name}", args=argv[1:])
    except BrokenPipeError:
        raise
    except Exception as error:
        message = refusal(error, options(command) if command else set())
        if message is None:
            raise
        from rich.console import Console
        from rich.markup import escape

        Console(stderr=True).print(
            f"[bold red]error:[/] {escape(message)}", highlight=False, soft_wrap=True
        )
        _leave(2)
        sys.exit(2)


def refusal(error: Exception, known: set[str]) -> str | None:
    """What to tell of an error; None if it is a bug of ours.

    Args:
        error: what a command raised.
        known: the names of the command's options, as Python writes them.
    """
    from pdr_datasets import NotPreparedError
    from pdr_jax.runs.pace import DivergedError

    if isinstance(error, NotPreparedError):
        prepare = f"pdr data prepare {error.name} --config {error.config} --manual-dir FOLDER"
        return (
            f"{error.state} Prepare it: {prepare}; or choose one that is prepared: "
            "--data-options.config NAME"
        )
    if isinstance(error, DivergedError):
        return str(error)
    # NotImplementedError: a kernel that was asked for by name does not serve this device.
    known_kinds = (ValueError, TypeError, OSError, ImportError, NotImplementedError)
    return with_option(str(error), known) if isinstance(error, known_kinds) else None


def _leave(status: int, message: str = "") -> None:
    """Ends one of several processes at once; a command that never joined any goes on."""
    if processes := sys.modules.get("pdr_jax.processes"):
        processes.leave(status, message)


def load(name: str, argv: list[str]) -> Callable[..., Any]:
    """A command's function; its parameters are the command's options.

    Args:
        name: of the command.
        argv: the command line, from the name on; empty for the command as such.
    """
    command = COMMANDS[name]
    function = getattr(import_module(f"pdr_jax.commands.{command.module}"), command.function)
    return function(argv) if command.made else function


def _overview() -> argparse.ArgumentParser:
    """What `pdr --help` prints, and what refuses other words than a command's name."""
    parser = argparse.ArgumentParser(
        "pdr",
        description="Predictive Differentiable Rendering for video prediction.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=metadata.version("pdr-jax"))
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        commands.add_parser(name, help=command.help, add_help=False)
    return parser


@contextlib.contextmanager
def _exit_on_sigterm() -> Iterator[None]:
    """SIGTERM ends the program by SystemExit, so that what was begun is cleaned up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def options(command: Callable[..., Any]) -> set[str]:
    """The names of a command's options, as Python writes them."""
    import tyro

    from pdr_jax.recipes import Recipe

    positional = typing.get_args(tyro.conf.Positional[int])[1]
    hints = typing.get_type_hints(command, include_extras=True)
    names = {
        name
        for name in inspect.signature(command).parameters
        if positional not in getattr(hints.get(name), "__metadata__", ())
    }
    if "recipe" in names:  # its fields are the options
        names = names - {"recipe"} | set(Recipe.__dataclass_fields__) - {"dataset"}
    return names


def with_option(message: str, known: set[str]) -> str:
    """Adds the option to a message that starts with the name of a field.

    Code outside `commands` does not know the command line; its messages start with the field that
    is wrong, as in "data_options.path is missing".

    Args:
      message: an error message.
      known: the names of the command's options, as Python writes them.
    """
    import pdr_datasets

    found = re.match(r"(\w+)((?:\.\w+)*)(?=[=:]| is missing)", message)
    if found is None:
        return message
    name = found[0]
    if found[1] not in known:  # an option of a user's array, perhaps
        if "data_options" not in known or found[1] not in pdr_datasets.options("arrays"):
            return message
        name = f"data_options.{name}"
    return f"{message} (option --{name.replace('_', '-')})"
