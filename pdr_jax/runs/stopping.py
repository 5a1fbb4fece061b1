"""SIGINT and SIGTERM end a training after the step at hand, so that nothing is lost."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from pdr_jax.runs.log import Remark

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def noticed(remark: Remark) -> Iterator[Callable[[], signal.Signals | None]]:
    """Within the block, a first signal is only noticed; a second one acts as it did before.

    A handler that raises is no choice here: Python drops what is raised within a callback, such as
    the one that JAX adds to garbage collection.

    Yields:
      A function that returns the signal that has come, or None.
    """
    came: list[signal.Signals] = []

    def notice(number: int, _: FrameType | None) -> None:
        came.append(signal.Signals(number))
        _restore()
        remark(f"{came[0].name}: the run stops after this step and saves (again: stops at once)")

    def _restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    # Python handles signals in its main thread only.
    handled = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in _SIGNALS} if handled else {}
    for number in before:
        signal.signal(number, notice)
    try:
        yield lambda: came[0] if came else None
    finally:
        _restore()


def stop(number: signal.Signals) -> None:
    """Ends the program as the signal would have, KeyboardInterrupt or exit status 143."""
    raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)
