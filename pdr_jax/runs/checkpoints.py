"""Checkpoints of a run (Orbax): train state, position in the data, recipe, versions, checksums.

The last few checkpoints and the best one are kept, and step 0 of an imported run, because training
cannot make imported weights again. Saving is asynchronous; an unfinished checkpoint is never read,
and a damaged one is told by its checksums and never restored.
"""

import importlib.metadata
from pathlib import Path
from typing import Any

import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import preservation_policy as keep

from pdr_jax.files import check_local
from pdr_jax.runs import digests
from pdr_jax.runs.saved import Saved, with_digest
from pdr_jax.train import TrainState

_PACKAGES = ("pdr-jax", "jax", "flax", "optax", "orbax-checkpoint")


def versions() -> dict[str, str]:
    """Versions of the packages that a result depends on; "not installed" where one has none."""
    return {name: _version(name) for name in _PACKAGES}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


class Checkpoints(Saved):
    """The checkpoints of one run folder, and room for more."""

    def __init__(self, directory: Path, *, keep_last: int = 2) -> None:
        """Opens or creates `directory`.

        Args:
          directory: RUN/checkpoints.
          keep_last: how many of the last checkpoints are kept.

        Raises:
          DamagedError: a checkpoint's score cannot be read.
        """
        super().__init__(directory)
        for step in self.steps:
            self.score(step)  # Orbax reads them all at once and does not say which is damaged
        policy = keep.AnyPreservationPolicy(
            [
                keep.LatestN(keep_last),
                keep.CustomSteps([0]),  # imported weights; other runs save no step 0
                keep.BestN(get_metric_fn=lambda metrics: -metrics["score"], n=1),
            ]
        )
        self._manager = ocp.CheckpointManager(
            self.directory,
            options=ocp.CheckpointManagerOptions(
                preservation_policy=policy,
                best_fn=lambda metrics: metrics["score"],
                best_mode="min",
            ),
        )

    def save(self, state: TrainState, *, data: Any, config: dict, score: float) -> None:
        """Saves a checkpoint as step `state.step`.

        Args:
          state: the train state.
          data: the data iterator's position, JSON types; None if there is none.
          config: the recipe, JSON types.
          score: the checkpoint with the lowest score is the best; infinity for one that was not
            scored.

        Raises:
          ValueError: a checkpoint in this folder could not be read again.
        """
        check_path(self.directory)
        run = {
            "data": data,
            "config": config,
            "versions": versions(),
            "score": score,
            "digests": {name: digests.digest(leaf) for name, leaf in digests.leaves(state)},
        }
        self._manager.save(
            int(state.step),
            args=ocp.args.Composite(
                state=ocp.args.StandardSave(state), run=ocp.args.JsonSave(with_digest(run))
            ),
            metrics={"score": score},
        )

    def last_saved(self) -> int | None:
        """The last step that has a checkpoint, or None, when all saving has ended."""
        self._manager.wait_until_finished()
        return self.last

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        self._manager.close()  # returns when everything is on disk


def check_path(path: Path) -> None:
    """Raises ValueError if checkpoints in a folder could not be read again."""
    check_local(path)
    if "[" in str(Path(path).absolute()):  # Orbax looks for its files by pattern
        raise ValueError(
            f"out: {Path(path).absolute()} has '[' in it, and checkpoints there could not be read "
            "again. Choose a folder (out) without it"
        )
