"""One function in two forms: the form for XLA's CPU back end, and the form for the others."""

from collections.abc import Callable
from typing import Any

import jax
from jax import Array, lax


def by_platform(cpu: Callable[..., Array], default: Callable[..., Array]) -> Callable[..., Array]:
    """A function that lowers to `cpu` on CPUs and to `default` on every other platform.

    The choice is made when a program is lowered for its platform, not when it is traced, so
    programs exported for another platform are right as well. In reverse mode each platform
    differentiates its own form from the arguments alone; left to itself, JAX would also save what
    the other platform's form needs. Forward-mode differentiation is not defined.

    Args:
      cpu: arrays -> array.
      default: computes the same.
    """

    @jax.custom_vjp
    def function(*args: Array) -> Array:
        return lax.platform_dependent(*args, cpu=cpu, default=default)

    def forward(*args: Array) -> tuple[Array, tuple[Array, ...]]:
        return function(*args), args

    def backward(args: tuple[Array, ...], cotangent: Array) -> tuple[Any, ...]:
        return lax.platform_dependent(args, cotangent, cpu=_vjp(cpu), default=_vjp(default))

    function.defvjp(forward, backward)
    return function


def _vjp(function: Callable[..., Array]) -> Callable[..., tuple[Any, ...]]:
    return lambda args, cotangent: jax.vjp(function, *args)[1](cotangent)
