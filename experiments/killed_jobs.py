"""Commands of pdr that take seconds, what they make, and what an undisturbed one has made."""

import dataclasses
import itertools
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

import pdr_datasets
from experiments.killing import Place
from pdr_jax.runs.saved import Saved

OPTIONS = [
    *("--backbone", "simvp_convmixer", "--adapter", "none", "--devices", "1"),
    *("--backbone-options.hid-S", "4", "--backbone-options.hid-T", "16"),
    *("--backbone-options.N-S", "2", "--backbone-options.N-T", "2"),
    *("--in-length", "2", "--out-length", "2", "--batch-size", "4", "--holdout", "0.2"),
    *("--steps", "12", "--save-every", "3", "--log-every", "1", "--ema-decay", "0.9"),
    *("--backbone-options.drop-path", "0.1"),
]
CONFIG = "16x16x1_2to2_4train_2test_seed0"


@dataclasses.dataclass(frozen=True)
class Job:
    """A command, and what it makes.

    Attributes:
      command: what follows `pdr`.
      out: the files or folders that it makes; the first one's folder is the job's own.
      content: what they hold.
    """

    command: tuple[object, ...]
    out: tuple[Path, ...]
    content: Callable[[Path], Mapping[str, Any]]

    def again(self) -> tuple[object, ...]:
        """The command that finishes the job, or () if there is nothing to finish."""
        if self.command[0] == "train":
            begun = (self.out[0] / "recipe.json").exists()
            return ("train", "--resume", self.out[0]) if begun else self.command
        return () if all(path.exists() for path in self.out) else self.command

    def there(self) -> str:
        """What the job has made by now, in words."""
        if self.command[0] == "train":
            last = Saved(self.out[0] / "checkpoints").last
            made = "no checkpoint" if last is None else f"checkpoint {last}"
        else:
            made = ", ".join(path.name for path in self.out if path.exists()) or "nothing"
        return "; ".join([made, *leftovers(self.out[0].parent)])


class Jobs:
    """Makes jobs in a place, and knows what each kind makes undisturbed."""

    def __init__(self, place: Place) -> None:
        """Writes clips, trains a run, exports it and imports it again."""
        self.place, self._number = place, itertools.count()
        self._known: dict[str, Job] = {}
        rng = np.random.default_rng(0)
        np.save(place.folder / "clips.npy", rng.integers(0, 256, (20, 4, 8, 8, 1), np.uint8))

    def make(self, kind: str) -> Job:
        """A new job: "train", "train --init-from" or one of `OTHERS`."""
        own = self.place.folder / f"job-{next(self._number)}"
        own.mkdir()
        clips, run = self.place.folder / "clips.npy", own / "run"
        data: tuple[object, ...] = ("--data-options.path", clips)
        if kind == "train":
            return Job((kind, "arrays", *data, *OPTIONS, "--out", run), (run,), content_of_run)
        if kind == "train --init-from":
            start = ("--init-from", self.undisturbed("import-openstl").out[0])
            command = ("train", "arrays", *data, *OPTIONS, *start, "--out", run)
            return Job(command, (run,), content_of_run)
        if kind == "data prepare":
            command = ("data", "prepare", "moving_sprites", "--config", CONFIG, "--data-dir", own)
            return Job(command, (own / "moving_sprites" / CONFIG / "1.0.0",), content_of_data)
        trained = self.undisturbed("train").out[0]
        if kind == "predict":
            return Job((kind, trained, clips, own / "future.npy"), (own / "future.npy",),
                       content_of_files)  # fmt: skip
        weights = own / "weights.npz"
        if kind == "export-openstl":
            made = (weights, weights.with_suffix(".json"))
            return Job((kind, trained, "--out", weights), made, content_of_files)
        weights, settings = self.undisturbed("export-openstl").out
        data = ("--dataset", "arrays", "--data-options", "path", clips)
        command = (kind, weights, "--out", run, "--config", settings, *data)
        return Job(command, (run,), content_of_run)

    def undisturbed(self, kind: str) -> Job:
        """The job of that kind that nothing disturbed, done once."""
        if kind not in self._known:
            job = self.make(kind)
            self.place.pdr(*job.command)
            self._known[kind] = job
        return self._known[kind]

    def differences(self, kind: str, job: Job) -> list[str]:
        """Where a finished job differs from the undisturbed one: names of files and states."""
        found = []
        for ours, theirs in zip(job.out, self.undisturbed(kind).out, strict=True):
            here, there = job.content(ours), job.content(theirs)
            found += [name for name in here.keys() | there.keys()
                      if here.get(name) != there.get(name)]  # fmt: skip
        return sorted(found)


def content_of_run(run: Path) -> dict[str, Any]:
    """All that a run folder holds, without what differs between any two runs: times."""
    saved = Saved(run / "checkpoints")
    states: dict[str, Any] = {}
    for which in ("last", "best"):
        step = saved.step(which)
        description = saved.description(step)
        kept = {name: description[name] for name in ("data", "config", "versions")}
        states[which] = (step, kept, _arrays(run / "checkpoints" / str(step) / "state"))
    log, figures = run / "metrics.jsonl", run / "metrics.json"
    return {
        **states,
        **{name: _json(run / name) for name in ("recipe.json", "data.json")},
        "metrics.jsonl": _untimed(log) if log.exists() else [],
        "metrics.json": _json(figures) if figures.exists() else {},
        "pictures": sorted(path.name for path in run.iterdir() if path.suffix in (".png", ".gif")),
    }


def content_of_files(path: Path) -> dict[str, bytes]:
    """The bytes of a file, or of all files in a folder; {} if there is neither."""
    files = [path] if path.is_file() else sorted(x for x in path.rglob("*") if x.is_file())
    return {str(file.relative_to(path)): file.read_bytes() for file in files}


def content_of_data(prepared: Path) -> dict[str, Any]:
    """The clips of a prepared data set, and its descriptions.

    Not the bytes of its records, whose fields may stand in any order.
    """
    clips = pdr_datasets.load("moving_sprites", data_dir=prepared.parents[2], config=CONFIG).splits
    return {
        **{path.name: path.read_bytes() for path in prepared.glob("*.json")},
        **{
            name: [split[index]["frames"].tobytes() for index in range(len(split))]
            for name, split in clips.items()
        },
    }


def leftovers(folder: Path) -> list[str]:
    """What a killed process left unfinished in a folder; random parts of names become *."""
    found = set()
    for path in folder.rglob("*"):
        *outer, name = path.relative_to(folder).parts
        if _unfinished(name) and not any(map(_unfinished, outer)):
            found.add(re.sub(r"(?<=^\.run\.).+|(?<=^incomplete\.)[^_]+", "*", name))
    return sorted(found)


def _unfinished(name: str) -> bool:
    if name in (".lock", ".holder", ".config"):
        return False
    return name.startswith((".", "incomplete.")) or name.endswith(".orbax-checkpoint-tmp")


def _arrays(state: Path) -> dict[str, tuple[str, tuple, bytes]]:
    """Type, shape and bytes of every array of a saved state, by name."""
    handler = ocp.PyTreeCheckpointHandler()
    tree = handler.metadata(state).tree
    as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), tree)
    restored = handler.restore(state, args=ocp.args.PyTreeRestore(restore_args=as_numpy))
    handler.close()
    return {
        jax.tree_util.keystr(path): (str(leaf.dtype), leaf.shape, leaf.tobytes())
        for path, leaf in jax.tree_util.tree_leaves_with_path(restored)
    }


def _untimed(log: Path) -> list[dict[str, float]]:
    lines = map(json.loads, log.read_text().splitlines())
    return [{name: x for name, x in line.items() if "second" not in name} for line in lines]


def _json(path: Path) -> Any:
    return json.loads(path.read_text())
