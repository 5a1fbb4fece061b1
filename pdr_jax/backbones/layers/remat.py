"""Blocks that are computed once more for their gradient, so that less is kept for it."""

from collections.abc import Callable
from typing import Any

from flax import linen as nn


def recompute(module: nn.Module, *arrays: Any, train: bool | None = None, when: bool) -> Any:
    """module(*arrays), or module(*arrays, train).

    Args:
      module: a block with its variables.
      *arrays: what it is computed from.
      train: its last argument, if it has one.
      when: whether its gradient keeps the arrays alone, and computes the block again.
    """
    settings = () if train is None else (train,)

    def run(module: Callable, *arrays: Any) -> Any:
        return module(*arrays, *settings)

    return nn.remat(run)(module, *arrays) if when else run(module, *arrays)
