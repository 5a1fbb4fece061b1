"""What `implementation=` means, for every kernel."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple

import jax

from pallas_kernels import gpu, trial

# Not `warnings`: those who make errors of warnings want to train, too.
_logger = logging.getLogger("pallas_kernels")
_told: set[tuple[str, str]] = set()


class Kernel(NamedTuple):
    """A function of independent frames, and what implements it."""

    name: str
    implementations: Mapping[str, Callable]
    """By name: functions of arrays (F, ...) and options that raise NotImplementedError for
    platforms, shapes and dtypes that they do not serve."""
    on_gpu: Sequence[str]
    """The names to try on a GPU, in order; "xla" comes after them."""

    @property
    def variable(self) -> str:
        """The environment variable that chooses where a caller does not."""
        return f"PALLAS_KERNELS_{self.name.upper()}"


def when_called(module: str, function: str) -> Callable:
    """A function whose module is imported at its first call."""

    def call(*args, **options):
        return getattr(import_module(module), function)(*args, **options)

    return call


def chosen(kernel: Kernel, implementation: str | Sequence[str] | None) -> tuple[str, ...]:
    """The names to try, in order.

    None stands for the names in `kernel.variable`, separated by commas. Where that is not set, it
    stands for `kernel.on_gpu` and "xla" on a GPU, for "xla" elsewhere.

    Raises:
        ValueError: a name is unknown, or there is none.
    """
    source, otherwise = "implementation", "a list of them, or None"
    if implementation is None:
        listed = os.environ.get(kernel.variable, "")
        if not listed:
            return (*kernel.on_gpu, "xla") if gpu.present() else ("xla",)
        source, otherwise = kernel.variable, "or several, separated by commas"
        implementation = [name.strip() for name in listed.split(",")]
    several = isinstance(implementation, list | tuple)
    names: tuple[Any, ...] = tuple(implementation) if several else (implementation,)
    for name in names:
        if name not in kernel.implementations:
            known = ", ".join(kernel.implementations)
            raise ValueError(f"{source} is {name!r}; expected one of {known}, {otherwise}")
    if not names:
        raise ValueError("implementation is an empty list; expected at least one name, or None")
    return names


def call_first(kernel: Kernel, names: Sequence[str], *arrays: jax.Array, **options: Any) -> Any:
    """Calls the first implementation that serves the arguments and works here.

    All but the last are tried first, see `trial`; one that fails is logged and left out. Errors of
    the last, and so of a single one, are the caller's.

    Raises:
        NotImplementedError: none serves the arguments; the message has the reason of each.
    """
    refusals = []
    for name in names:
        implementation, reason = kernel.implementations[name], None
        try:
            if name != names[-1]:
                reason = trial.failure(implementation, arrays, options)
            if reason is None:
                return implementation(*arrays, **options)
            _tell(kernel, name, reason)
        except NotImplementedError as error:
            reason = str(error)
        refusals.append(f"{name}: {reason}")
    raise NotImplementedError("no implementation serves this call: " + "; ".join(refusals))


def _tell(kernel, name, reason):
    """Logs a failure, the first of an implementation as a warning."""
    level = logging.DEBUG if (kernel.name, name) in _told else logging.WARNING
    _told.add((kernel.name, name))
    _logger.log(
        level,
        "%s: implementation %r does not work here and the next one is used. %s\n"
        "Set %s to choose one; `python -m pallas_kernels` shows what runs here.",
        kernel.name,
        name,
        reason,
        kernel.variable,
    )
