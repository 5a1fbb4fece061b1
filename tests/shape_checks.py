"""Checks the shapes in signatures (jaxtyping) by beartype, while the tests run.

Other types are not checked: mypy checks them, and functions refuse bad input with messages that the
tests read. Constructors are not checked, because JAX fills its trees with placeholders.
"""

import inspect
import typing

from beartype import beartype
from jaxtyping import AbstractArray


def check(function):
    """The decorator that `jaxtyping.install_import_hook` puts on every function."""
    if function.__name__ == "__init__":
        return function
    shapes = {name: hint for name, hint in function.__annotations__.items() if has_shape(hint)}
    if not shapes:
        return function
    function.__annotations__ = shapes
    return beartype(function)


def has_shape(hint):
    if inspect.isclass(hint) and issubclass(hint, AbstractArray):
        return True
    return any(has_shape(part) for part in typing.get_args(hint))
