"""The finished checkpoints in a folder: which there are, and whether they are what was saved.

Nothing here changes a file, but for `set_aside`, which moves whole checkpoints.
"""

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from pdr_jax.files import read_json
from pdr_jax.runs import digests
from pdr_jax.train import TrainState


class DamagedError(ValueError):
    """A checkpoint cannot be read, or its numbers are not those that were saved."""


class Saved:
    """The finished checkpoints of one run folder."""

    def __init__(self, directory: Path) -> None:
        """`directory` is RUN/checkpoints; it need not exist."""
        self.directory = Path(directory).absolute()

    @property
    def steps(self) -> list[int]:
        """The steps of the finished checkpoints, in order, by Orbax's own account."""
        return sorted(ocp.utils.checkpoint_steps(self.directory)) if self.directory.is_dir() else []

    @property
    def last(self) -> int | None:
        """The last step that has a finished checkpoint, or None."""
        return max(self.steps, default=None)

    @property
    def best(self) -> int | None:
        """The last of the steps with the lowest score, or None."""
        return min(self.steps, key=lambda step: (self.score(step), -step), default=None)

    def step(self, which: str | int) -> int:
        """The step that "last", "best" or a number stands for.

        Raises:
          FileNotFoundError: there is no such checkpoint.
          DamagedError: which is the best cannot be told.
        """
        if not self.steps:
            raise FileNotFoundError(f"no checkpoint in {self.directory}")
        step: str | int | None = which
        if isinstance(which, str):
            step = self.last if which == "last" else self.best
        if step not in self.steps:
            there = ", ".join(map(str, self.steps))
            raise FileNotFoundError(f"checkpoint={step}: {self.directory} has steps {there}")
        return step

    def description(self, step: int) -> dict[str, Any]:
        """{"data", "config", "versions", "score", "digests"} of a checkpoint, as they were saved.

        Raises:
          DamagedError: they cannot be read, or are not what was saved.
        """
        try:
            saved = read_json(self._path(step) / "run" / "metadata")
        except (OSError, ValueError) as error:
            raise self.damaged(step, error) from error
        known = saved.pop("digest", None)  # runs of version 0.2 have none
        if known is not None and known != _json_digest(saved):
            raise self.damaged(step, "run/metadata is not what was saved")
        return saved

    def score(self, step: int) -> float:
        """The score of a checkpoint; lower is better.

        Raises:
          DamagedError: it cannot be read, or is not what was saved.
        """
        saved = self.description(step)
        try:
            score = read_json(self._path(step) / "metrics" / "metrics")["score"]
        except (OSError, ValueError, KeyError) as error:
            raise self.damaged(step, error) from error
        if saved.get("score", score) != score:  # runs of version 0.2 have it in the metrics only
            raise self.damaged(step, "its score is not what was saved")
        return float(score)

    def verify(self, step: int) -> dict[str, Any]:
        """Reads all of a checkpoint; returns its `description`.

        Raises:
          DamagedError: something cannot be read, or is not what was saved.
        """
        self.score(step)
        saved = self.description(step)
        try:
            digests.verify(self._path(step) / "state", saved.get("digests", {}))
        except (OSError, ValueError) as error:
            raise self.damaged(step, error) from error
        return saved

    def restore(
        self, like: TrainState, which: str | int = "last"
    ) -> tuple[TrainState, dict[str, Any]]:
        """Reads a checkpoint.

        Args:
          like: a state of the same structure, or its shapes and shardings.
          which: "last", "best" or a step.

        Returns:
          The state, and {"data", "config", "versions"} as they were saved.

        Raises:
          FileNotFoundError: there is no such checkpoint.
          DamagedError: the checkpoint is damaged.
          ValueError: the checkpoint is of another model.
        """
        step = self.step(which)
        saved = self.verify(step)
        target = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        self._check_model(step, target)
        try:
            with ocp.StandardCheckpointer() as reader:
                state = reader.restore(self._path(step) / "state", target)
        except Exception as error:  # what Orbax raises depends on which byte is wrong
            raise self.damaged(step, error) from error
        return state, saved

    def variables(self) -> tuple[int, dict[str, Any]]:
        """The step and the variables (NumPy) of the best checkpoint, whatever their structure.

        As in `TrainState.variables`, these are the averages if the state kept them.

        Raises:
          FileNotFoundError: there is no checkpoint.
          DamagedError: the checkpoint is damaged.
        """
        step = self.step("best")
        self.verify(step)
        path = self._path(step) / "state"
        handler = ocp.PyTreeCheckpointHandler()
        try:
            saved = handler.metadata(path).tree
            averaged = saved.get("ema") is not None
            source = saved["ema"] if averaged else saved
            wanted = {name: source[name] for name in ("params", "batch_stats") if source.get(name)}
            wanted = {"ema": wanted} if averaged else wanted
            as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), wanted)
            found = handler.restore(
                path, args=ocp.args.PyTreeRestore(wanted, as_numpy, partial_restore=True)
            )
        except Exception as error:  # as in `restore`
            raise self.damaged(step, error) from error
        finally:
            handler.close()
        found = found["ema"] if averaged else found
        return step, {"params": found["params"], "batch_stats": found.get("batch_stats", {})}

    def _check_model(self, step: int, target: TrainState) -> None:
        """Raises ValueError unless the checkpoint has the parameters of `target`, in shape."""
        handler = ocp.PyTreeCheckpointHandler()
        try:
            saved = handler.metadata(self._path(step) / "state").tree
            there = {path: leaf.shape for path, leaf in _flat(saved["params"]).items()}
        except Exception as error:  # as in `restore`
            raise self.damaged(step, error) from error
        finally:
            handler.close()
        here = {path: leaf.shape for path, leaf in _flat(target.params).items()}
        for path in sorted(here | there):
            if here.get(path) != there.get(path):
                raise ValueError(
                    f"{self._path(step)} is of another model: params.{path} has shape "
                    f"{there.get(path)} there, and {here.get(path)} in the recipe's model"
                )

    def newest_whole(self) -> tuple[int | None, list[str]]:
        """The newest step that `verify` accepts, and what is wrong with those after it."""
        wrong = []
        for step in reversed(self.steps):
            try:
                self.verify(step)
            except DamagedError as error:
                wrong.append(str(error))
            else:
                return step, wrong
        return None, wrong

    def set_aside(self, after: int) -> list[Path]:
        """Moves to RUN/set_aside what training from a step on cannot have beside it.

        Those are later checkpoints, whose steps will be saved again, and earlier ones without a
        score, such as one that was being removed when the process was killed.

        Returns:
          Where they are now; nothing in them was changed.
        """
        moved = []
        for step in self.steps:
            if step <= after and self._has_score(step):
                continue
            shelf = self.directory.parent / "set_aside"
            shelf.mkdir(exist_ok=True)
            count = len(list(shelf.glob(f"{step}.*")))
            moved.append(self._path(step).rename(shelf / f"{step}.{count}"))
        return moved

    def _has_score(self, step: int) -> bool:
        try:
            return self.score(step) is not None
        except DamagedError:
            return False

    def damaged(self, step: int, reason: object) -> DamagedError:
        """The error that says why a checkpoint is not used, in one line."""
        first, *_ = str(reason).splitlines() or [type(reason).__name__]
        first = first.replace(f"{self._path(step)}/", "")[:300]
        return DamagedError(f"checkpoint {self._path(step)} is damaged: {first}")

    def _path(self, step: int) -> Path:
        return self.directory / str(step)


def _flat(tree: Any) -> dict[str, Any]:
    return {
        jax.tree_util.keystr(path, simple=True, separator="."): leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


def with_digest(content: Mapping[str, Any]) -> dict[str, Any]:
    """JSON content as it is read back, with its checksum."""
    content = json.loads(json.dumps(content))
    return {**content, "digest": _json_digest(content)}


def _json_digest(content: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(content, sort_keys=True).encode())
