"""The fields of a settings dataclass, checked against their annotations where values enter.

Settings come from JSON files, command lines and callers, none of which keep to annotations.
"""

import dataclasses
import difflib
import functools
import numbers
import os
import types
import typing
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

LARGEST_SIZE = 10_000
"""The largest size in pixels, width or depth of a layer: tracing larger ones would take hours."""
LARGEST = 2**31 - 1
"""The largest integer that a setting can be: steps and sizes are int32 on the devices."""
_FLOAT32 = 3.4e38

T = TypeVar("T")


def check_fields(settings: Any, prefix: str = "") -> None:
    """Checks each field of a dataclass: its type, that numbers are finite, names one of a Literal.

    Args:
      settings: an instance of a dataclass. Its fields are bool, int, float, str, Path, Literal,
        dataclasses, tuples, dicts with names as keys, or one of these or None.
      prefix: put before the names of fields in messages, such as "predgs.".

    Raises:
      TypeError: a value of another type.
      ValueError: a number that is not finite or beyond `LARGEST`, or a name that is not known.
    """
    cls: Any = type(settings)
    for name, annotation in _annotations(cls).items():
        _check(prefix + name, getattr(settings, name), annotation)


def check_range(
    settings: Any, names: Collection[str], low: float, high: float | None = None, prefix: str = ""
) -> None:
    """Raises ValueError unless the fields called `names` are `low` or more, and at most `high`."""
    for name in names:
        value = getattr(settings, name)
        if value < low or (high is not None and value > high):
            expected = f"{low} or more" if high is None else f"{low} to {high}"
            raise ValueError(f"{prefix}{name}={value!r}: expected {expected}")


def create_preset(
    cls: type[T],
    presets: Mapping[str, Mapping[str, Any]],
    preset: str,
    overrides: Mapping[str, Any],
) -> T:
    """The settings of a preset, a key of `presets`, with some fields overridden.

    Raises:
      ValueError: an unknown preset or field, or a value out of range.
    """
    check_one_of("preset", preset, presets)
    known = [field.name for field in dataclasses.fields(typing.cast(Any, cls))]
    for name in overrides:
        if name not in known:
            raise ValueError(
                f"{name!r} is no field of {cls.__name__}; expected one of {', '.join(known)}"
            )
    return cls(**{**presets[preset], **overrides})


def check_options(name: str, value: Any, largest: int = LARGEST) -> None:
    """Checks options whose types only the receiving code knows: names, and no endless numbers.

    Raises:
      TypeError: `value` is no dict, or a key is no text.
      ValueError: a number in it is not finite, or an integer beyond `largest`.
    """
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise TypeError(f"{name}={value!r}: expected options by name, in JSON an object")
    for key, option in value.items():
        _check_numbers(f"{name}.{key}", option, largest)


def from_json(cls: type[T], fields: Any, prefix: str = "") -> T:
    """A dataclass from a JSON object of its fields.

    Raises:
      TypeError: `fields` is no object, a field is missing, or a value has another type.
      ValueError: a field is unknown, or a value is out of range.
    """
    name = prefix.rstrip(".") or "recipe"
    if not isinstance(fields, Mapping):
        raise TypeError(f"{name}={fields!r}: expected a JSON object of settings")
    known: Any = dataclasses.fields(cls)  # type: ignore[arg-type]
    if unknown := sorted(set(fields) - {field.name for field in known}):
        raise ValueError(f"{name}: no such fields in a {name}: {', '.join(unknown)}")
    for field in known:
        bare = field.default is field.default_factory is dataclasses.MISSING
        if bare and field.name not in fields:
            raise missing(prefix + field.name)
    return cls(**fields)


def missing(name: str) -> TypeError:
    """The error for a field that a JSON object lacks."""
    return TypeError(f"{name} is missing: expected a JSON object with all settings of a run")


@functools.cache
def _annotations(cls: type) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def _check(name: str, value: Any, annotation: Any) -> None:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (types.UnionType, typing.Union):  # of one type and None
        if value is not None:
            _check(name, value, next(each for each in arguments if each is not types.NoneType))
    elif origin is Literal:
        if value not in arguments:
            raise ValueError(f"{name}={value!r}: expected one of {', '.join(map(str, arguments))}")
    elif origin is dict:
        check_options(name, value)
    elif origin is tuple:
        count = "some" if arguments[-1] is Ellipsis else len(arguments)
        if not isinstance(value, tuple | list) or count not in ("some", len(value)):
            raise TypeError(f"{name}={value!r}: expected {count} values")
        if count == "some":
            arguments = arguments[:1] * len(value)
        for index, (each, kind) in enumerate(zip(value, arguments, strict=True)):
            _check(f"{name}[{index}]", each, kind)
    else:
        accepted, expected = _TYPES.get(annotation, (annotation, f"a {annotation.__name__}"))
        is_bool = isinstance(value, bool) and annotation is not bool
        if is_bool or not isinstance(value, accepted):
            raise TypeError(f"{name}={value!r}: expected {expected}")
        _check_numbers(name, value, LARGEST)


_TYPES: dict[Any, tuple[Any, str]] = {
    bool: (bool, "true or false"),
    int: (numbers.Integral, "an integer"),
    float: (numbers.Real, "a number"),
    str: (str, "a text"),
    Path: ((str, os.PathLike), "a path"),
}


def _check_numbers(name: str, value: Any, largest: int) -> None:
    if isinstance(value, list | tuple):
        for index, each in enumerate(value):
            _check_numbers(f"{name}[{index}]", each, largest)
    elif isinstance(value, numbers.Integral):
        if abs(int(value)) > largest:
            raise ValueError(f"{name}={_shortened(int(value))}: expected at most {largest}")
    elif isinstance(value, numbers.Real) and not abs(float(value)) <= _FLOAT32:
        raise ValueError(f"{name}={value!r}: expected a finite number of float32")


def _shortened(value: int) -> str:
    """The integer in decimal; Python writes no more than 4300 digits."""
    return str(value) if value.bit_length() < 128 else f"{hex(value)[:16]}..."


def check_one_of(name: str, value: str, valid: Collection[str]) -> None:
    """Checks a name against the known ones.

    Raises:
      TypeError: it is no text.
      ValueError: it is unknown.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name}={value!r}: expected one of {', '.join(sorted(valid))}")
    if value not in valid:
        close = difflib.get_close_matches(value, sorted(valid), n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise ValueError(f"{name}={value!r}{hint}: expected one of {', '.join(sorted(valid))}")
