"""Where a resumed run goes on, and what has changed since."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pdr_jax.recipes import Recipe
from pdr_jax.runs.folder import describe_training, read_data
from pdr_jax.runs.log import Remark
from pdr_jax.runs.saved import DamagedError, Saved
from pdr_jax.runs.settings import flat
from pdr_jax.task import Task

# Fields that change neither parameters nor their order of updates, but for float32 rounding.
FREE = (
    *("devices", "shard_parameters", "remat", "resident_mib", "renderer", "ssim"),
    *("log_every", "log", "save_every", "save_minutes", "data_dir", "data_options.path"),
)
_DATA = ("training_clips", "frame_shape", "offset", "scale", "digest")


def choose(saved: Saved, checkpoint: int | None, remark: Remark) -> int:
    """The step to go on from: `checkpoint`, or the newest that is whole.

    Raises:
      FileNotFoundError: there is no checkpoint of that step.
      DamagedError: that checkpoint is damaged, or all are.
    """
    if checkpoint is not None:
        saved.verify(saved.step(checkpoint))
        return checkpoint
    step, wrong = saved.newest_whole()
    if step is None:
        raise DamagedError(f"no checkpoint is whole: {'; '.join(wrong)}")
    for reason in wrong:
        remark(f"WARNING: {reason}. The run goes on from the checkpoint of step {step}")
    return step


def check_unchanged(
    run: Path, task: Task, saved: Saved, step: int, *, accept: bool, remark: Remark
) -> None:
    """Tells what has changed since a checkpoint was saved.

    Args:
      run: the run folder.
      task: what would be trained now.
      saved: the run's checkpoints.
      step: of the checkpoint to go on from.
      accept: whether a changed run may go on.
      remark: called with each difference that is allowed.

    Raises:
      ValueError: a difference makes it another run, and `accept` is False.
    """
    before = Recipe.from_json(saved.description(step)["config"]).to_json()
    found = list(_recipe_differences(before, task.recipe.to_json()))
    described, now = read_data(run), describe_training(task)
    found += [
        (f"{name}: {now[name]}, was {described[name]}", False)
        for name in _DATA
        if name in described and described[name] != now[name]
    ]
    serious = [text for text, free in found if not free]
    if serious and not accept:
        raise ValueError(
            f"accept_changes=False: since step {step} of {run} these have changed: "
            f"{'; '.join(serious)}. A resumed run is expected to be what it was. Undo the changes, "
            "start another run from this one (init_from), or accept them"
        )
    for text, _ in found:
        remark(f"since step {step}: {text}")


def _recipe_differences(
    before: Mapping[str, Any], now: Mapping[str, Any]
) -> Iterator[tuple[str, bool]]:
    """Each difference in words, and whether the run is still the same run."""
    there, here = flat(before), flat(now)
    for name in sorted(there.keys() | here.keys()):
        old, new = there.get(name), here.get(name)
        if old != new:
            longer = name in ("steps", "epochs") and (new or 0) > (old or 0)
            yield f"{name}={new!r}, was {old!r}", longer or name in FREE
