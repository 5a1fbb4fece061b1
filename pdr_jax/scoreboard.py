"""`pdr eval`: runs scored side by side, beside controls and what others published."""

import csv
import dataclasses
import importlib.util
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
import tyro

from pdr_jax import benchmarks, metrics, published, results, run
from pdr_jax.checkpoint import versions
from pdr_jax.metrics import perceptual
from pdr_jax.options import parse_option
from pdr_jax.recipes import Protocol, Recipe
from pdr_jax.results import Measured
from pdr_jax.run_folder import protocol_note


@dataclasses.dataclass(frozen=True)
class Weights:
    """Files of trained weights, each of which adds a metric.

    Attributes:
        lpips: LPIPS (AlexNet, v0.1): the trunk, torchvision's checkpoint or an .npz.
        lpips_heads: Its heads, the lpips package's alex.pth or an .npz.
        st_lpips: The shift-tolerant LPIPS (AlexNet), an .npz.
    """

    lpips: Path | None = None
    lpips_heads: Path | None = None
    st_lpips: Path | None = None

    def metrics(self) -> dict[str, metrics.FrameMetric]:
        """The metrics by name."""
        found: dict[str, metrics.FrameMetric] = {}
        if (self.lpips is None) != (self.lpips_heads is None):
            raise ValueError("LPIPS needs two files: give both --lpips and --lpips-heads")
        if self.lpips is not None and self.lpips_heads is not None:
            found["lpips"] = perceptual.load_lpips_alex(self.lpips, self.lpips_heads)
        if self.st_lpips is not None:
            found["st_lpips_alex"] = perceptual.load_st_lpips_alex(self.st_lpips)
        return found


NO_WEIGHTS = Weights()


def evaluate(
    run_folders: tyro.conf.Positional[tuple[Path, ...]],
    dataset: str | None = None,
    data_options: dict[str, str] | None = None,
    data_dir: Path | None = None,
    protocol: Protocol | None = None,
    split: Literal["test", "holdout"] = "test",
    checkpoint: Literal["best", "last"] = "best",
    horizon: int | None = None,
    batch_size: int = 16,
    devices: int = 0,
    controls: bool = True,
    warping: bool = False,
    weights: tyro.conf.OmitArgPrefixes[Weights] = NO_WEIGHTS,
    published: bool = False,
    values: Path | None = None,
) -> None:
    """Score runs by the field's metrics, beside persistence and what the renderer adds.

    Args:
        run_folders: What `pdr train` left; several are put side by side.
        dataset: Score on this data set instead of the one trained on.
        data_options: Options of its loader, instead of the recipe's: name value name value ...
        data_dir: Where prepared data sets lie, if not where they lay in training.
        protocol: "openstl" for figures that compare with published ones, "standard" for all;
            by default that of the run.
        split: Which clips.
        checkpoint: The best, or the last.
        horizon: Frames to predict, if not as many as in training.
        batch_size: Clips at a time; does not change the figures.
        devices: How many share a batch; 0 takes as many as can share it evenly.
        controls: Whether to add the rows of controls.
        warping: Whether to measure temporal warping errors; needs OpenCV.
        weights: See each.
        published: Adds the published rows of the data set (protocol openstl only).
        values: A .csv or .parquet file for the figures of every frame of every clip.
    """
    if not run_folders:
        raise ValueError("no run folder is given: pdr eval RUN [RUN ...]")
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size}: expected 1 or more")
    if values is not None:
        _check_values(values)
    changes: dict[str, Any] = {}
    if dataset is not None:
        changes = {"dataset": dataset, "data_options": _default_options(dataset)}
    for name, value in (
        ("data_options", data_options and {k: parse_option(v) for k, v in data_options.items()}),
        ("data_dir", data_dir),
        ("protocol", protocol),
        ("out_length", horizon),
    ):
        if value is not None:
            changes[name] = value
    recipes_ = {folder: run.read_recipe(folder) for folder in run_folders}
    _check_comparable(recipes_, changes, split)
    devices = devices or math.gcd(batch_size, jax.device_count())
    first = dataclasses.replace(recipes_[run_folders[0]], **changes)
    others = _published(first) if published else {}
    extra = weights.metrics()
    if values is not None:
        values.parent.mkdir(parents=True, exist_ok=True)
    rows: dict[str, Measured] = {}
    notes: dict[str, None] = {}
    for folder, trained in recipes_.items():
        recipe = dataclasses.replace(trained, **changes)
        _, task, state = run.load(folder, which=checkpoint, recipe=recipe)
        measured = results.measure(
            task,
            state.variables(),
            split=split,
            batch_size=batch_size,
            label=folder.name if len(recipes_) > 1 else recipe.label,
            controls=controls,
            protocol=recipe.protocol,
            devices=devices,
            keep_samples=values is not None,
            names=metrics.WARPING if warping else (),
            extra=extra,
        )
        described = describe(folder, task, recipe, split=split, checkpoint=checkpoint)
        described["step"] = int(state.step)
        notes[described["note"]] = None
        path = folder / f"eval-{split}-{recipe.protocol}-{task.clip.horizon}.json"
        run.write_json(path, {**described, **_merged(path, described, summary(measured))})
        print(f"written: {path}")
        rows |= measured
    if values is not None:
        write_values(values, rows)
        print(f"written: {values}")
    figures = {name: row.figures for name, row in rows.items()} | others
    for note in filter(None, notes):
        print(f"note: {note}")
    results.print_table(figures, title=title(described))


def _check_comparable(
    trained: Mapping[Path, Recipe], changes: Mapping[str, Any], split: str
) -> None:
    """Raises ValueError unless the runs' figures can stand side by side, before any is scored."""
    shown = ("dataset", "data_options", "protocol", "in_length", "out_length")
    first, *others = (dataclasses.replace(recipe, **changes) for recipe in trained.values())
    for folder, other in zip(list(trained)[1:], others, strict=True):
        for field in shown:
            if getattr(other, field) != getattr(first, field):
                remedy = "Give the same to both"
                if field == "protocol":
                    remedy = "Give --protocol openstl (or standard), which then counts for all"
                raise ValueError(
                    f"{folder} has {field}={getattr(other, field)!r}, {next(iter(trained))} "
                    f"{getattr(first, field)!r}: figures that do not compare. {remedy}, or "
                    "evaluate them one by one."
                )
    for folder, recipe in trained.items():
        if split == "holdout" and "openstl" in (recipe.protocol, changes.get("protocol")):
            raise ValueError(
                f"split='holdout': {folder} has none under protocol openstl, which trains on all "
                "clips and chooses the checkpoint on the test split"
            )


def describe(
    folder: Path, task: run.Task, recipe: Recipe, *, split: str, checkpoint: str
) -> dict[str, Any]:
    """What figures of a run are of, as JSON."""
    scoring = task.dataset.scoring
    reduction = "averaged over" if scoring.spatial_norm else "summed over"
    return {
        "dataset": f"{task.dataset.name} {task.dataset.config}",
        "note": " ".join(filter(None, (task.dataset.note, protocol_note(folder, recipe)))),
        "split": split,
        "horizon": task.clip.horizon,
        "protocol": recipe.protocol,
        "checkpoint": _chosen(folder) if checkpoint == "best" else "last checkpoint",
        "errors": f"in {scoring.units} units, {reduction} a frame",
        "versions": versions(),
    }


def title(described: Mapping[str, Any]) -> str:
    """The same in a line."""
    return (
        f"{described['dataset']}, {described['split']} split, {described['horizon']} frames, "
        f"protocol {described['protocol']}, {described['checkpoint']}; errors {described['errors']}"
    )


def _merged(path: Path, described: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """New figures beside those that an earlier evaluation of the same checkpoint wrote."""
    if not path.exists():
        return new
    before = json.loads(path.read_text())
    if any(before.get(key) != value for key, value in described.items()):
        return new
    return {
        part: {
            name: {**before[part].get(name, {}), **new[part].get(name, {})}
            for name in {**before[part], **new[part]}
        }
        for part in new
    }


def _chosen(folder: Path) -> str:
    path = folder / "data.json"
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is missing, which says what chose the best checkpoint: give --checkpoint last"
        )
    return f"best by {json.loads(path.read_text())['chosen_on']}"


def summary(rows: Mapping[str, Measured]) -> dict[str, Any]:
    """Figures and their course over the horizon, as JSON."""
    return {
        "rows": {name: row.figures for name, row in rows.items()},
        "per_frame": {
            name: {metric: values.tolist() for metric, values in row.per_frame.items()}
            for name, row in rows.items()
        },
    }


def _check_values(path: Path) -> None:
    """Refuses a file that `write_values` could not write, before anything is scored."""
    if path.suffix not in (".csv", ".parquet"):
        raise ValueError(f"values={str(path)!r}: expected a name that ends in .csv or .parquet")
    if path.suffix == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise ImportError(
            "a .parquet file needs pyarrow: pip install 'pdr-jax[report]', or write a .csv"
        )


def write_values(path: Path, rows: Mapping[str, Measured]) -> None:
    """A line for every predictor, clip and frame; the file appears whole or not at all.

    Columns: predictor, clip (its id), frame (1 is the first predicted), and the metrics. A name
    that ends in .parquet needs pyarrow.
    """
    partial = path.with_name(f".{path.name}.partial")
    columns: dict[str, np.ndarray] = {}
    for name, row in rows.items():
        clips, frames = next(iter(row.values.values())).shape
        block = {
            "predictor": np.repeat(name, clips * frames),
            "clip": np.repeat(row.ids, frames),
            "frame": np.tile(np.arange(1, frames + 1), clips),
            **{metric: values.reshape(-1) for metric, values in row.values.items()},
        }
        for column, values in block.items():
            before = [columns[column]] if column in columns else []
            columns[column] = np.concatenate([*before, values])
    if path.suffix == ".parquet":
        import pyarrow
        from pyarrow import parquet

        parquet.write_table(pyarrow.table(columns), partial)
    else:
        with partial.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(zip(*(values.tolist() for values in columns.values()), strict=True))
    partial.replace(path)


def _default_options(dataset: str) -> dict[str, Any]:
    known = benchmarks.BENCHMARKS.get(dataset)
    return dict(known.data_options) if known else {}


def _published(recipe: Recipe) -> dict[str, dict[str, float]]:
    if recipe.protocol != "openstl":
        raise ValueError("published figures compare with --protocol openstl only: give both")
    rows = published.rows(recipe.dataset)
    if not rows:
        raise ValueError(f"there are no published figures for {recipe.dataset}")
    return rows
