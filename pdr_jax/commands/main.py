"""`pdr`: finds the command, runs it, and says what was wrong with its input."""

import contextlib
import inspect
import io
import re
import signal
import sys
import threading
import typing
from collections.abc import Callable, Iterator
from typing import Any

import tyro
from rich.console import Console
from rich.markup import escape

import pdr_datasets
from pdr_jax.commands.check import check
from pdr_jax.commands.data import data
from pdr_jax.commands.demo import demo
from pdr_jax.commands.doctor import doctor
from pdr_jax.commands.eval import evaluate
from pdr_jax.commands.export_openstl import export_openstl
from pdr_jax.commands.import_openstl import import_openstl
from pdr_jax.commands.models import models
from pdr_jax.commands.predict import predict
from pdr_jax.commands.train import train_command
from pdr_jax.recipes import Recipe
from pdr_jax.runs.pace import DivergedError

EXAMPLES = """
examples:
  pdr doctor                                        which kernels run here
  pdr demo                                          a plain predictor and PDR, side by side
  pdr models simvp_moga                             a predictor's card
  pdr data prepare kth --manual-dir ~/kth           from the official .avi files
  pdr train kth --backbone tau --adapter predgs --loss l1_ssim
  pdr train --resume runs/kth-tau-predgs-l1_ssim-seed0
  pdr eval runs/kth-tau-predgs-l1_ssim-seed0
  pdr check runs/kth-tau-predgs-l1_ssim-seed0
  pdr predict runs/kth-tau-predgs-l1_ssim-seed0 clips.npy future.npy --gif future.gif
  pdr import-openstl checkpoint.pth --out runs/theirs --dataset kth --config SimVP_gSTA.py
  pdr train kth --init-from runs/theirs --adapter predgs
  pdr export-openstl runs/theirs --out theirs.pth
"""
_BUG = "This is a bug of pdr-jax. Please report it with the command and what follows."
_POSITIONAL = typing.get_args(tyro.conf.Positional[int])[1]


def main(argv: list[str] | None = None) -> None:
    """Runs a command; bad input ends it with a message and exit status 2."""
    argv = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal may not know every character
            stream.reconfigure(errors="replace")
    with _exit_on_sigterm():
        try:
            _run(argv)
        except KeyboardInterrupt:
            print("interrupted")
            sys.exit(130)
        except Exception:
            print(_BUG, file=sys.stderr)
            raise


def _run(argv: list[str]) -> None:
    commands: dict[str, Callable[..., Any]] = {
        "eval": evaluate,
        "predict": predict,
        "check": check,
        "import-openstl": import_openstl,
        "export-openstl": export_openstl,
        "models": models,
        "demo": demo,
        "doctor": doctor,
        "data": data,
    }
    try:
        commands = {"train": train_command(argv), **commands}
        tyro.extras.subcommand_cli_from_dict(
            commands,
            prog="pdr",
            description="Predictive Differentiable Rendering for video prediction.\n" + EXAMPLES,
            args=argv,
        )
    except (
        *(ValueError, TypeError, OSError, ImportError, DivergedError),
        NotImplementedError,  # a kernel that was asked for by name does not serve this device
    ) as error:
        message = str(error)
        if isinstance(error, pdr_datasets.NotPreparedError):
            message += (
                f" Or: pdr data prepare {error.name} --config {error.config} --manual-dir FOLDER"
            )
        elif command := commands.get(argv[0] if argv else ""):
            message = with_option(message, options(command))
        Console(stderr=True).print(
            f"[bold red]error:[/] {escape(message)}", highlight=False, soft_wrap=True
        )
        sys.exit(2)


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
    hints = typing.get_type_hints(command, include_extras=True)
    names = {
        name
        for name in inspect.signature(command).parameters
        if _POSITIONAL not in getattr(hints.get(name), "__metadata__", ())
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
    found = re.match(r"(\w+)((?:\.\w+)*)(?=[=:]| is missing)", message)
    if found is None or found[1] not in known:
        return message
    return f"{message} (option --{found[0].replace('_', '-')})"
