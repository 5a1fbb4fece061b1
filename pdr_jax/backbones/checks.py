"""What a setting may be: each check raises an error that names the field and its value."""

import math
import numbers
import operator
from collections.abc import Iterable


class FrameSizeError(ValueError):
    """The frames have a height or a width that a backbone cannot take."""


def at_least(field: str, value: int, least: int) -> int:
    """Returns `value` as an int if it is an integer >= `least`; else raises, naming `field`."""
    try:
        integer = operator.index(value)
    except TypeError:
        raise TypeError(f"{field} = {value!r} must be an integer") from None
    if integer < least:
        raise ValueError(f"{field} = {integer} must be at least {least}")
    return integer


def integers(field: str, values: tuple[int, ...], least: int) -> tuple[int, ...]:
    """Returns `values` if they are one or more integers >= `least`; else raises, naming `field`."""
    if not isinstance(values, tuple):
        raise TypeError(f"{field} = {values!r} must be a tuple (in JSON a list) of integers")
    at_least(f"the length of {field}", len(values), 1)
    return tuple(at_least(f"{field}[{i}]", value, least) for i, value in enumerate(values))


def odd(field: str, value: int) -> None:
    """Raises TypeError or ValueError, naming `field`, unless `value` is odd and at least 1."""
    if at_least(field, value, 1) % 2 == 0:
        raise ValueError(f"{field} = {value} must be odd")


def divisible(field: str, value: int, by: int, why: str) -> None:
    """Raises ValueError, naming `field`, if `by` does not divide `value`; `why` says what for."""
    if value % by:
        raise ValueError(f"{field} = {value} must be divisible by {by} ({why})")


def number(field: str, value: float) -> None:
    """Raises TypeError or ValueError, naming `field`, unless `value` is a finite real number."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise TypeError(f"{field} = {value!r} must be a number")
    if not math.isfinite(value):
        raise ValueError(f"{field} = {value} must be finite")


def fraction(field: str, value: float) -> None:
    """Raises TypeError or ValueError, naming `field`, unless `value` is a rate in [0, 1)."""
    number(field, value)
    if not 0 <= value < 1:
        raise ValueError(f"{field} = {value} must be in [0, 1)")


def one_of(field: str, value: str, choices: Iterable[str]) -> None:
    """Raises ValueError, naming `field` and the choices, unless `value` is one of them."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{field} = {value!r} must be one of {', '.join(choices)}")
