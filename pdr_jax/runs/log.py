"""The log of a run: metrics.jsonl, and the loggers that the recipe names."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pdr_jax import processes
from pdr_jax.files import finite, read_json, replacing
from pdr_jax.recipes import Recipe
from pdr_jax.runs.loggers import Logger, Picture, open_logger
from pdr_jax.runs.saved import Saved

Report = Callable[[Mapping[str, float]], None]
# Called with what a person should read, a line at a time.
Remark = Callable[[str], None]


class RunLog:
    """RUN/metrics.jsonl, one JSON object a line, and the loggers; by the first process only.

    Numbers that are not finite, which JSON does not know, are written as null. A logger that fails
    is dropped with a remark: the training goes on, and metrics.jsonl has all.
    """

    def __init__(self, run: Path, remark: Remark, report: Report | None = None) -> None:
        """Opens the log of a run folder; `report` is also called with every line's figures."""
        self._run, self._path = run, run / "metrics.jsonl"
        self._remark, self._report = remark, report
        self._first = processes.first()
        self._loggers: dict[str, Logger] = {}
        self._draws = True

    def open_loggers(self, recipe: Recipe, step: int) -> None:
        """Opens the loggers of a recipe, for the steps after `step`.

        Raises:
          ImportError: the package of one is not installed.
          ValueError: one asks the user for something.
        """
        for name in dict.fromkeys(recipe.log) if self._first else ():
            try:
                logger = open_logger(name, self._run, recipe.to_json(), step)
            except OSError as error:
                self._remark(f"no log for {name}: {error}")
            else:
                self._loggers[name] = logger

    @property
    def places(self) -> list[str]:
        """Where to look at what the loggers write, in words."""
        return [f"{name}: {logger.place}" for name, logger in self._loggers.items()]

    def rewind(self, step: int) -> None:
        """Drops the lines of steps after `step`, which will be repeated, and tells of odd lines."""
        if not (self._first and self._path.exists()):
            return
        lines = _whole_lines(self._path)
        for number, (line, entry) in enumerate(lines, 1):
            if entry is None:
                self._remark(
                    f"{self._path}, line {number} is no entry and is dropped: {line[:80]!r}"
                )
        kept = [line for line, entry in lines if entry is not None and entry <= step]
        with replacing(self._path) as partial:
            partial.write_text("".join(f"{line}\n" for line in kept))

    def write(self, figures: Mapping[str, float]) -> None:
        """Writes the figures of one step; `figures` has the key "step"."""
        if self._first:
            with self._path.open("a") as file:
                file.write(json.dumps(finite(figures), allow_nan=False) + "\n")
        step = int(figures["step"])
        curves = {name: value for name, value in figures.items() if name not in ("step", "steps")}
        self.result(step, curves)
        if self._report is not None:
            self._report(figures)

    def result(self, step: int, figures: Mapping[str, float]) -> None:
        """Gives figures to the loggers only."""
        self._each(lambda logger: logger.scalars(step, figures))

    def show(self, step: int, draw: Callable[[], Sequence[Picture]]) -> None:
        """Gives the loggers the pictures of a step, which are drawn only if there are loggers."""
        if not (self._loggers and self._draws):
            return
        try:
            pictures = draw()
        except ImportError as error:
            self._draws = False
            self._remark(f"no pictures in the log: {error}")
            return
        self._each(lambda logger: logger.pictures(step, pictures))

    def _each(self, act: Callable[[Logger], None]) -> None:
        for name, logger in list(self._loggers.items()):
            try:
                act(logger)
            except OSError as error:
                del self._loggers[name]
                self._remark(f"no more log for {name}: {error}")

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._each(lambda logger: logger.close(failed=kind is not None))


def log_results(run: Path, recipe: Recipe, remark: Remark) -> None:
    """Gives the model's figures in RUN/metrics.json to the loggers, as "test/mse" and the like.

    They stand beside the settings in the tables of TensorBoard and Weights & Biases.
    """
    path = run / "metrics.json"
    if not (recipe.log and path.exists()):
        return
    found, step = read_json(path), Saved(run / "checkpoints").last or 0
    figures = {
        f"{found['split']}/{name}": value
        for name, value in found["rows"][recipe.label].items()
        if value is not None  # the JSON of a number that is not finite
    }
    with RunLog(run, remark) as log:
        log.open_loggers(recipe, step)
        log.result(step, figures)


def odd_lines(path: Path) -> list[int]:
    """The numbers, from 1, of the lines of a log that are no entries."""
    return [number for number, (_, entry) in enumerate(_whole_lines(path), 1) if entry is None]


def _whole_lines(path: Path) -> list[tuple[str, float | None]]:
    """Each line of a log and its step, or None if it is no entry."""

    def step(line: str) -> float | None:
        try:
            return float(json.loads(line)["step"])
        except (ValueError, TypeError, KeyError, RecursionError):
            return None

    # Text after the last line break is a line whose writing was interrupted.
    *lines, _ = path.read_text(errors="replace").split("\n")
    return [(line, step(line)) for line in lines]
