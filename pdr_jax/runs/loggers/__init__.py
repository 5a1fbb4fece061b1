"""Where a run is logged besides its metrics.jsonl: TensorBoard, Weights & Biases.

Each is a module of this folder with a function `open_logger(run, settings, step)`.
"""

import importlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

_EXTRAS = {"tensorboard": "report", "wandb": "wandb"}
"""What pip installs for each."""


class Picture(NamedTuple):
    """An encoded picture.

    Attributes:
      name: what it shows.
      encoded: the content of a file.
      format: of that file, "png" or "gif".
      height: in pixels.
      width: in pixels.
    """

    name: str
    encoded: bytes
    format: str
    height: int
    width: int


class Logger(Protocol):
    """Takes what a run logs; each method may raise OSError, and is not called again then.

    Attributes:
      place: where to look at it, a folder or an address.
    """

    place: str

    def scalars(self, step: int, figures: Mapping[str, float]) -> None:
        """Logs the figures of a step."""

    def pictures(self, step: int, pictures: Sequence[Picture]) -> None:
        """Logs pictures of a step."""

    def close(self, *, failed: bool) -> None:
        """Ends the log of this process; `failed` tells that the training ended with an error."""


def check(names: Collection[str]) -> None:
    """Imports what the loggers of these names need.

    Raises:
      ImportError: a package is not installed; the message tells how to install it.
    """
    for name in names:
        _module(name)


def open_logger(name: str, run: Path, settings: Mapping[str, Any], step: int) -> Logger:
    """Opens a logger.

    Args:
      name: "tensorboard" or "wandb".
      run: the run folder.
      settings: the recipe as JSON.
      step: of the checkpoint that the run goes on from, or 0: later steps will be logged, perhaps
        for the second time.

    Raises:
      ImportError: its package is not installed.
      OSError: it cannot be opened now.
      ValueError: it cannot be opened before the user does something.
    """
    return _module(name).open_logger(run, settings, step)


def _module(name: str) -> Any:
    try:
        return importlib.import_module(f"{__name__}.{name}")
    except ImportError as error:
        package = error.name or name
        raise ImportError(
            f"log={name}: {package.split('.')[0]} is not installed: "
            f"pip install 'pdr-jax[{_EXTRAS[name]}]'"
        ) from error
