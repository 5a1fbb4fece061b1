"""Reads configurations of the public PyTorch code without running them."""

import ast
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def read(path: Path) -> dict[str, Any]:
    """A configuration: OpenSTL's .py, which is not run, or a model_param.json that OpenSTL wrote.

    A .py file may hold docstrings, imports (which are skipped) and assignments NAME = VALUE.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: the file is of another kind, is broken, or would have to be run.
    """
    text = path.read_text()
    if path.suffix == ".json":
        try:
            config = json.loads(text)
        except ValueError as error:
            raise ValueError(f"{path} is no JSON: {error}") from error
        if not isinstance(config, dict):
            raise ValueError(f"{path} holds no JSON object")
        return flat(config)
    if path.suffix != ".py":
        raise ValueError(f"config={str(path)!r}: expected a name that ends in .py or .json")
    try:
        statements = ast.parse(text).body
    except SyntaxError as error:
        raise ValueError(f"{path} is no Python: {error}") from error
    found: dict[str, Any] = {}
    for statement in statements:
        match statement:
            case ast.Import() | ast.ImportFrom() | ast.Expr(ast.Constant()):
                continue
        try:
            found |= _assigned(statement, found)
        except ValueError as error:
            line = ast.unparse(statement).splitlines()[0]
            raise ValueError(
                f"{path}, line {statement.lineno}: {line!r} would have to be run, and "
                "configurations are not run: write NAME = VALUE, the value itself"
            ) from error
    return flat(found)


def flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """The entries that are not None; those of PredFormer's nested `model_config` join the rest."""
    nested = config.get("model_config")
    config = {**config, **(nested if isinstance(nested, Mapping) else {})}
    return {k: v for k, v in config.items() if v is not None and k != "model_config"}


def _assigned(statement: ast.stmt, known: Mapping[str, Any]) -> dict[str, Any]:
    """The name and the value that a statement assigns.

    Raises:
      ValueError: the statement does something else.
    """
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)]):
            return {name: _value(statement.value, known)}
    raise ValueError("no plain assignment")


def _value(node: ast.expr, known: Mapping[str, Any]) -> Any:
    """A literal, or what OpenSTL's files also hold: dict(), sums, products, names defined above."""
    match node:
        case ast.Call(func=ast.Name(id="dict"), args=[], keywords=entries):
            return {str(entry.arg): _value(entry.value, known) for entry in entries}
        case ast.Name(id=name) if name in known:
            return known[name]
        case ast.BinOp(left=left, op=ast.Add() | ast.Mult() as op, right=right):
            sides = _value(left, known), _value(right, known)
            if all(isinstance(side, int | float) for side in sides):
                return math.prod(sides) if isinstance(op, ast.Mult) else sum(sides)
    return ast.literal_eval(node)
