"""What `pdr --tyro-print-completion` knows of all commands.

tyro completes options and the names of commands, but no other words. So data sets are commands
here, each with its own options.
"""

import dataclasses
import functools
import inspect
import operator
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import tyro

import pdr_datasets
from pdr_jax import backbones
from pdr_jax.benchmarks import BENCHMARKS
from pdr_jax.commands.main import COMMANDS, load


def all_commands() -> Any:
    """A type that tyro reads as all commands with the words that may follow them."""
    known = {name: load(name, []) for name in COMMANDS}
    names = pdr_datasets.names()
    info, prepare = (
        _words({name: load("data", ["data", each, name]) for name in names})
        for each in ("info", "prepare")
    )
    known["data"] = _words({"list": dict, "info": info, "prepare": prepare})
    known["models"] = _words(dict.fromkeys(backbones.names(), known["models"]))
    trained = _words({name: load("train", ["train", name]) for name in BENCHMARKS})
    known["train"] = _before(load("train", ["train", "--resume"]), trained)
    return _words(known)


def _words(commands: Mapping[str, Any]) -> Any:
    """Either of some commands; each is a function or itself such a type."""
    made = (
        Annotated[Any, tyro.conf.subcommand(name, constructor=command)]
        if callable(command)
        else Annotated[command, tyro.conf.subcommand(name)]
        for name, command in commands.items()
    )
    return functools.reduce(operator.or_, made)


def _before(function: Callable, words: Any) -> type:
    """The options of a function, or other words."""
    hints = typing.get_type_hints(function, include_extras=True)
    options = [
        (name, hints[name], *([each.default] if each.default is not each.empty else []))
        for name, each in inspect.signature(function).parameters.items()
    ]
    after = ("words", Annotated[words, tyro.conf.arg(name="")])
    return dataclasses.make_dataclass("Before", [*options, after], kw_only=True)
