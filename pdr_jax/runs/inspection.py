"""Whether a run folder is whole: files, checkpoints, versions, and the data it was made on."""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from pdr_jax.runs import folder
from pdr_jax.runs.checkpoints import versions
from pdr_jax.runs.log import odd_lines
from pdr_jax.runs.resuming import check_unchanged
from pdr_jax.runs.saved import DamagedError, Saved
from pdr_jax.runs.state import load
from pdr_jax.runs.units import in_units_of
from pdr_jax.task import open_dataset, open_task

_REFUSED = (ValueError, TypeError, OSError, ImportError)


class Finding(NamedTuple):
    """What was found of one part of a run folder.

    Attributes:
      part: such as "recipe.json" or "checkpoint 400".
      broken: whether something there does not work.
      text: what is wrong, or what is there.
    """

    part: str
    broken: bool
    text: str


def inspect_run(run: Path) -> Iterator[Finding]:
    """Looks at every part of a run folder; changes nothing.

    Raises:
      FileNotFoundError: `run` is no run folder.
    """
    if not (run / "recipe.json").exists():
        folder.read_recipe(run)
    yield _found("recipe.json", lambda: folder.read_recipe(run).label)
    yield _found("data.json", lambda: _units(run))
    yield _found("metrics.jsonl", lambda: _log(run))
    saved = Saved(run / "checkpoints")
    for step in saved.steps:
        yield _found(f"checkpoint {step}", functools.partial(_checkpoint, saved, step))
    yield _found("evaluation", lambda: _loads(run))
    yield _found("resumption", lambda: _resumes(run, saved))


def _found(part: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(part, broken=False, text=look())
    except _REFUSED as error:
        return Finding(part, broken=True, text=str(error))


def _units(run: Path) -> str:
    recorded = folder.recorded_units(run)
    if recorded is None:
        raise ValueError(f"{run / 'data.json'} does not describe the data")
    return f"offset {recorded.units.offset}, scale {recorded.units.scale}"


def _log(run: Path) -> str:
    path = run / "metrics.jsonl"
    if not path.exists():
        return "not begun"
    odd = odd_lines(path)
    if odd:
        raise ValueError(f"lines {', '.join(map(str, odd))} are no entries; resuming drops them")
    return f"{len(path.read_text().splitlines())} lines"


def _checkpoint(saved: Saved, step: int) -> str:
    found = saved.verify(step)
    checked = "checksums agree" if "digests" in found else "readable; version 0.2 kept no checksums"
    there, here = found.get("versions", {}), versions()
    changed = [
        f"{name} {there[name]}, here {here.get(name)}"
        for name in there
        if there[name] != here.get(name)
    ]
    return "; ".join([checked, *(["saved by " + ", ".join(changed)] if changed else [])])


def _loads(run: Path) -> str:
    dataset = folder.recorded_dataset(run)
    _, state = load(run, dataset=dataset)
    return f"best checkpoint, step {int(state.step)}"


def _resumes(run: Path, saved: Saved) -> str:
    step, wrong = saved.newest_whole()
    if step is None:
        if wrong:
            raise DamagedError("no checkpoint is whole")
        return "from the start"
    recipe = folder.read_recipe(run)
    said: list[str] = []
    task = open_task(recipe, in_units_of(run, open_dataset(recipe)))
    if step:
        check_unchanged(run, task, saved, step, accept=False, remark=said.append)
    return "; ".join([f"from step {step}", *said])
