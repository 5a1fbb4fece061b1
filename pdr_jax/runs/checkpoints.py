"""Checkpoints of a run (Orbax): train state, position in the data, recipe, versions.

The last few checkpoints and the best one are kept, and step 0 of an imported run, because training
cannot make imported weights again. Saving is asynchronous; an unfinished checkpoint is never read.
"""

import importlib.metadata
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import preservation_policy as keep

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


class Checkpoints:
    """The checkpoints of one run folder."""

    def __init__(self, directory: Path, *, keep_last: int = 2) -> None:
        """Opens or creates `directory`.

        Args:
          directory: RUN/checkpoints.
          keep_last: how many of the last checkpoints are kept.
        """
        policy = keep.AnyPreservationPolicy(
            [
                keep.LatestN(keep_last),
                keep.CustomSteps([0]),  # imported weights; other runs save no step 0
                keep.BestN(get_metric_fn=lambda metrics: -metrics["score"], n=1),
            ]
        )
        self._manager = ocp.CheckpointManager(
            Path(directory).absolute(),
            options=ocp.CheckpointManagerOptions(
                preservation_policy=policy,
                best_fn=lambda metrics: metrics["score"],
                best_mode="min",
            ),
        )

    @staticmethod
    def exist(directory: Path) -> bool:
        """Whether there is a finished checkpoint in `directory`."""
        return any(Path(directory).glob("[0-9]*/_CHECKPOINT_METADATA"))

    def save(self, state: TrainState, *, data: Any, config: dict, score: float) -> None:
        """Saves a checkpoint as step `state.step`.

        Args:
          state: the train state.
          data: the data iterator's position, JSON types; None if there is none.
          config: the recipe, JSON types.
          score: the checkpoint with the lowest score is the best.
        """
        self._manager.save(
            int(state.step),
            args=ocp.args.Composite(
                state=ocp.args.StandardSave(state),
                run=ocp.args.JsonSave({"data": data, "config": config, "versions": versions()}),
            ),
            metrics={"score": score},
        )

    def restore(self, like: TrainState, which: str = "last") -> tuple[TrainState, dict]:
        """Reads a checkpoint.

        Args:
          like: a state of the same structure, or its shapes and shardings.
          which: "last" or "best".

        Returns:
          The state, and {"data", "config", "versions"} as they were saved.

        Raises:
          FileNotFoundError: there is no checkpoint.
          ValueError: the checkpoint is of another model.
        """
        step = self.last if which == "last" else self.best
        if step is None:
            raise FileNotFoundError(f"no checkpoint in {self._manager.directory}")
        target = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        restored = self._manager.restore(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardRestore(target), run=ocp.args.JsonRestore()
            ),
        )
        return restored["state"], restored["run"]

    def variables(self) -> tuple[int, dict[str, Any]]:
        """The step and the variables (NumPy) of the best checkpoint, whatever their structure.

        As in `TrainState.variables`, these are the averages if the state kept them.

        Raises:
          FileNotFoundError: there is no checkpoint.
        """
        step = self.best
        if step is None:
            raise FileNotFoundError(f"no checkpoint in {self._manager.directory}")
        path = self._manager.directory / str(step) / "state"
        handler = ocp.PyTreeCheckpointHandler()
        saved = handler.metadata(path).tree
        averaged = saved.get("ema") is not None
        source = saved["ema"] if averaged else saved
        wanted = {name: source[name] for name in ("params", "batch_stats") if source.get(name)}
        wanted = {"ema": wanted} if averaged else wanted
        as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), wanted)
        found = handler.restore(
            path, args=ocp.args.PyTreeRestore(wanted, as_numpy, partial_restore=True)
        )
        handler.close()
        found = found["ema"] if averaged else found
        return step, {"params": found["params"], "batch_stats": found.get("batch_stats", {})}

    @property
    def last(self) -> int | None:
        """The last step that has a checkpoint, or None."""
        return self._manager.latest_step()

    @property
    def best(self) -> int | None:
        """The step of the checkpoint with the lowest score, or None."""
        return self._manager.best_step()

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        self._manager.close()  # returns when everything is on disk
