"""Entries of a configuration of the public PyTorch code, in the forms that they have there."""

import operator
from collections.abc import Iterable, Mapping
from typing import Any


def integers(config: Mapping[str, Any], field: str) -> tuple[int, ...]:
    """A list of integers, "64,64" in OpenSTL's files; one alone is a list of one.

    Raises:
      KeyError: there is no such entry.
      ValueError: it is something else.
    """
    value = config[field]
    parts = value.split(",") if isinstance(value, str) else value
    try:
        return tuple(
            int(part) if isinstance(part, str) else operator.index(part)
            for part in (parts if isinstance(parts, Iterable) else [parts])
        )
    except (TypeError, ValueError) as error:
        raise ValueError(f"{field} = {value!r}: expected integers, such as [64, 64]") from error


def in_shape(config: Mapping[str, Any]) -> tuple[int, ...]:
    """(T, C, H, W).

    Raises:
      KeyError: there is no entry in_shape.
      ValueError: it is something else.
    """
    shape = integers(config, "in_shape")
    if len(shape) != 4:
        raise ValueError(f"in_shape = {config['in_shape']!r}: expected [T, C, H, W]")
    return shape
