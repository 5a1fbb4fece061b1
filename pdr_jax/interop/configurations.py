"""Reads configurations of the public PyTorch code without running them."""

import ast
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LONGEST = 100_000  # bytes; the public code's configurations have some thousand
DEEPEST = 20  # lists in lists
LARGEST = 2**53  # of numbers: integers up to here are exact in JSON


def read(path: Path) -> dict[str, Any]:
    """A configuration: OpenSTL's .py, which is not run, or a model_param.json that OpenSTL wrote.

    A .py file may hold docstrings, imports (which are skipped) and assignments NAME = VALUE.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: the file is of another kind, is longer than `LONGEST`, is broken, would have to be
        run, or holds a number that is not finite or larger than `LARGEST`.
    """
    if path.suffix not in (".py", ".json"):
        raise ValueError(f"config={str(path)!r}: expected a name that ends in .py or .json")
    with path.open("rb") as file:
        content = file.read(LONGEST + 1)
    if len(content) > LONGEST:
        raise ValueError(f"{path} is no configuration: expected at most {LONGEST} bytes")
    language = "Python" if path.suffix == ".py" else "JSON"
    try:
        text = content.decode("utf-8-sig")
        config = _assignments(text) if path.suffix == ".py" else json.loads(text)
    except (SyntaxError, ValueError) as error:
        raise ValueError(f"{path} is no configuration in {language}: {error}") from error
    except (RecursionError, MemoryError) as error:  # what Python's parsers raise
        raise ValueError(f"{path} is no configuration: it is nested too deeply") from error
    if not isinstance(config, dict):
        raise ValueError(f"{path} holds no JSON object")
    for name, value in config.items():
        if not _plain(value):
            raise ValueError(
                f"{path}: {name} has a value of another kind; expected text, numbers between "
                f"-{LARGEST} and {LARGEST}, and lists and dicts of these, {DEEPEST} deep at most"
            )
    return flat(config)


def flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """The entries that are not None; those of PredFormer's nested `model_config` join the rest."""
    nested = config.get("model_config")
    config = {**config, **(nested if isinstance(nested, Mapping) else {})}
    return {k: v for k, v in config.items() if v is not None and k != "model_config"}


def _assignments(text: str) -> dict[str, Any]:
    """The names and values that the lines of a .py file assign."""
    found: dict[str, Any] = {}
    for statement in ast.parse(text).body:
        match statement:
            case ast.Import() | ast.ImportFrom() | ast.Expr(ast.Constant()):
                continue
        try:
            found |= _assigned(statement, found)
        except (ValueError, TypeError) as error:
            line = text.splitlines()[statement.lineno - 1].strip()
            raise ValueError(
                f"line {statement.lineno}: {line[:60]!r} would have to be run, and configurations "
                "are not run: write NAME = VALUE, the value itself"
            ) from error
    return found


def _assigned(statement: ast.stmt, known: Mapping[str, Any]) -> dict[str, Any]:
    """The name and the value that a statement assigns.

    Raises:
      ValueError: the statement does something else.
    """
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Name(id=other)) if other in known:
            return {name: known[other]}
        case ast.Assign(targets=[ast.Name(id=name)]):
            return {name: _value(statement.value, known)}
    raise ValueError("no plain assignment")


def _value(node: ast.expr, known: Mapping[str, Any]) -> Any:
    """A literal, or what OpenSTL's files also hold: dict(), sums, products, numbers by name."""
    match node:
        case ast.Call(func=ast.Name(id="dict"), args=[], keywords=entries) if all(
            entry.arg for entry in entries
        ):
            return {str(entry.arg): _value(entry.value, known) for entry in entries}
        # Only numbers: a list that names lists could grow without bound.
        case ast.Name(id=name) if isinstance(known.get(name), int | float):
            return known[name]
        case ast.BinOp(left=left, op=ast.Add() | ast.Mult() as op, right=right):
            sides = _value(left, known), _value(right, known)
            if all(isinstance(side, int | float) and abs(side) <= LARGEST for side in sides):
                return math.prod(sides) if isinstance(op, ast.Mult) else sum(sides)
    return ast.literal_eval(node)


def _plain(value: Any, depth: int = 0) -> bool:
    """Whether a value is text, a number within bounds, or a list or a dict of these."""
    match value:
        case _ if depth > DEEPEST:
            return False
        case None | str():
            return True
        case int() | float():
            return abs(value) <= LARGEST
        case list() | tuple():
            return all(_plain(item, depth + 1) for item in value)
        case dict():
            return all(isinstance(k, str) and _plain(item, depth + 1) for k, item in value.items())
    return False
