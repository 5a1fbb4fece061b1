"""Entries of the public PyTorch code's configurations, in every form that they come in."""

import operator
from collections.abc import Iterable, Mapping
from typing import Any


def integers(config: Mapping[str, Any], field: str) -> tuple[int, ...]:
    """The integers of an entry: a list, one integer alone, or OpenSTL's "64,64".

    Raises:
      KeyError: there is no such entry.
      ValueError: the entry is something else.
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


def frames(config: Mapping[str, Any], *fields: str) -> int | None:
    """A number of frames: the first of the entries that is present, or None.

    Raises:
      ValueError: the entry is something else.
    """
    for field in fields:
        if field in config:
            (*others, number) = integers(config, field) or (0,)
            if others or number < 1:
                raise ValueError(f"{field} = {config[field]!r}: expected a number of frames")
            return number
    return None


def joined(values: Iterable[int]) -> str:
    """The inverse of `integers`: "64,64"."""
    return ",".join(map(str, values))


def in_shape(config: Mapping[str, Any]) -> tuple[int, ...]:
    """The entry in_shape, (T, C, H, W).

    Raises:
      KeyError: there is no such entry.
      ValueError: the entry is something else.
    """
    shape = integers(config, "in_shape")
    if len(shape) != 4:
        raise ValueError(f"in_shape = {config['in_shape']!r}: expected [T, C, H, W]")
    return shape
