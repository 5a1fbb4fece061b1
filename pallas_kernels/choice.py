"""What `implementation=` means, for every kernel."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pallas_kernels import gpu

Implementations = Mapping[str, Callable]
"""By name: functions that raise NotImplementedError for platforms, shapes and dtypes that they do
not serve."""


def chosen(
    implementation: str | Sequence[str] | None,
    implementations: Implementations,
    on_gpu: Sequence[str],
) -> tuple[str, ...]:
    """The names to try, in order. None stands for `on_gpu` and "xla" on a GPU, for "xla" elsewhere.

    Raises:
        ValueError: a name is unknown, or there is none.
    """
    if implementation is None:
        return (*on_gpu, "xla") if gpu.present() else ("xla",)
    several = isinstance(implementation, list | tuple)
    names: tuple[Any, ...] = tuple(implementation) if several else (implementation,)
    for name in names:
        if name not in implementations:
            raise ValueError(
                f"implementation is {name!r}; expected one of {', '.join(implementations)}, "
                "a list of them, or None"
            )
    if not names:
        raise ValueError("implementation is an empty list; expected at least one name, or None")
    return names


def call_first(
    names: Sequence[str], implementations: Implementations, *args: Any, **options: Any
) -> Any:
    """Calls the first implementation that serves the arguments.

    Raises:
        NotImplementedError: none does; the message has the reason of each.
    """
    refusals = []
    for name in names:
        try:
            return implementations[name](*args, **options)
        except NotImplementedError as error:
            refusals.append(f"{name}: {error}")
    raise NotImplementedError("no implementation serves this call: " + "; ".join(refusals))
