"""Checks the shapes in signatures (jaxtyping) while the tests run, by beartype.

Other types are left to mypy and to the functions' own refusals, which the tests read. Constructors
are left out, because JAX fills its trees with placeholders.
"""

import inspect
import typing

from beartype import beartype
from jaxtyping import AbstractArray


def check(function):
    """What `jaxtyping.install_import_hook` decorates the functions of its modules with."""
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
