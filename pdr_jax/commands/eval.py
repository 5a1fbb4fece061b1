"""`pdr eval`: scores runs side by side, with controls and published figures."""

import dataclasses
import math
from pathlib import Path
from typing import Any, Literal

import jax
import tyro

from pdr_jax import metrics, processes, report
from pdr_jax.benchmarks import BENCHMARKS
from pdr_jax.benchmarks.figures import TABLES, published_figures
from pdr_jax.commands.options import parse_options
from pdr_jax.commands.progress import working
from pdr_jax.commands.report import write_beside
from pdr_jax.evaluation import values as value_tables
from pdr_jax.evaluation.explorer import Evaluated
from pdr_jax.evaluation.extrapolation import extrapolator
from pdr_jax.evaluation.figures import Measured
from pdr_jax.evaluation.measuring import measure
from pdr_jax.metrics import i3d, perceptual, raft
from pdr_jax.recipes import Protocol, Recipe
from pdr_jax.runs import memory, scores
from pdr_jax.runs.folder import read_recipe
from pdr_jax.runs.state import load
from pdr_jax.runs.units import Choice
from pdr_jax.sharding import own_copy


@dataclasses.dataclass(frozen=True)
class Weights:
    """Files of trained weights that add metrics.

    Attributes:
        lpips: LPIPS (AlexNet, v0.1), its trunk: torchvision's checkpoint or an .npz.
        lpips_heads: LPIPS, its heads: the lpips package's alex.pth or an .npz.
        st_lpips: Shift-tolerant LPIPS (AlexNet): an .npz. Adds a Fréchet distance of frames too.
        fvd: Fréchet video distance, its I3D: i3d_pretrained_400.pt, or an .npz of its arrays.
        raft: Temporal warping errors by RAFT's optical flow: the authors' raft-things.pth, another
            of their files or of torchvision's, or an .npz of its arrays.
    """

    lpips: Path | None = None
    lpips_heads: Path | None = None
    st_lpips: Path | None = None
    fvd: Path | None = None
    raft: Path | None = None

    def frame_metrics(self) -> dict[str, metrics.FrameMetric]:
        """The metrics by name."""
        found: dict[str, metrics.FrameMetric] = {}
        if (self.lpips is None) != (self.lpips_heads is None):
            raise ValueError("LPIPS needs two files: give both --lpips and --lpips-heads")
        if self.lpips is not None and self.lpips_heads is not None:
            found["lpips"] = perceptual.load_lpips_alex(self.lpips, self.lpips_heads)
        if self.st_lpips is not None:
            found["st_lpips_alex"] = perceptual.load_st_lpips_alex(self.st_lpips)
        return found

    def features(self) -> dict[str, metrics.Features]:
        """The networks of Fréchet distances, by the figure's name."""
        found: dict[str, metrics.Features] = {}
        if self.fvd is not None:
            found["fvd"] = i3d.load_fvd(self.fvd)
        if self.st_lpips is not None:
            found["frechet_st_lpips"] = perceptual.load_st_lpips_features(self.st_lpips)
        return found

    def flow(self) -> metrics.Flow | None:
        """RAFT's optical flow."""
        return raft.load_raft(self.raft) if self.raft is not None else None


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
    extrapolation: bool = False,
    samples: int = 0,
    seed: int = 0,
    thresholds: tuple[float, ...] = (),
    speed: bool = False,
    warping: bool = False,
    weights: tyro.conf.OmitArgPrefixes[Weights] = NO_WEIGHTS,
    published: bool = False,
    units: Choice | None = None,
    values: Path | None = None,
    distributed: processes.Distributed = "auto",
) -> None:
    """Score runs by the field's metrics, beside persistence and controls of the renderer.

    Args:
        run_folders: Run folders; several are put side by side.
        dataset: Score on this data set, instead of the one of the training.
        data_options: Options of its loader, beside the recipe's: name value name value ...
        data_dir: Where prepared data sets lie; by default as in training.
        protocol: "openstl" for figures that compare with published ones, "mcvd" for those of
            diffusion models (KTH at 64x64), "standard" for all; by default that of the run.
        split: The test clips, or the training clips that were held out.
        checkpoint: The best or the last checkpoint.
        horizon: Frames to predict; by default as many as in training.
        batch_size: Clips at a time; does not change the figures.
        devices: How many share a batch; 0 takes as many as can share it evenly.
        controls: Whether to add the rows of controls.
        extrapolation: Whether to add a row for the last frame carried on by OpenCV's optical flow
            of the observed ones, the baseline of nowcasting.
        samples: Futures to draw of each clip, which get a row where the model draws any: CRPS, best
            of them, spread against skill. All of a batch have to fit in memory.
        seed: Of the draws.
        thresholds: Values, in the units of the stored data, from which on a pixel is an event (CSI,
            POD, FAR, HSS, bias); by default those of the data set, if it has any.
        speed: Whether to time the model: predicted frames a second, one clip at a time, here.
        warping: Whether to measure temporal warping errors, by OpenCV's optical flow.
        weights: Files of trained weights that add metrics.
        published: Adds the published rows of the data set (protocols openstl and mcvd).
        units: "run" takes the units that the run was trained in, and "data" those of the data,
            though they differ.
        values: A .csv or .parquet file for the figures of every frame of every clip.
        distributed: Whether to join other processes: where the environment names them (auto),
            always, or never.
    """
    processes.join(distributed)
    if not run_folders:
        raise ValueError("no run folder is given: pdr eval RUN [RUN ...]")
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size}: expected 1 or more")
    for name, value in (("samples", samples), ("seed", seed)):
        if value < 0:
            raise ValueError(f"{name}={value}: expected 0 or more")
    if values is not None:
        value_tables.check_target(values)
    labels = scores.row_labels(run_folders)
    fields: dict[str, Any] = {
        "data_dir": data_dir,
        "protocol": protocol,
        "out_length": horizon,
    }
    given = {name: value for name, value in fields.items() if value is not None}
    recipes = {
        run: dataclasses.replace(_on_data(read_recipe(run), dataset, data_options), **given)
        for run in run_folders
    }
    scores.check_comparable(recipes, split)
    scores.check_writable(recipes)
    from_papers = _published(recipes[run_folders[0]]) if published else {}
    extra, features, flow = weights.frame_metrics(), weights.features(), weights.flow()
    names = (metrics.WARPING if warping else ()) + (metrics.WARPING_RAFT if flow else ())
    if values is not None:
        values.parent.mkdir(parents=True, exist_ok=True)
    rows: dict[str, Measured] = {}
    described: dict[str, dict[str, Any]] = {}
    evaluated: dict[str, Evaluated] = {}
    for run, recipe in recipes.items():
        task, state = load(run, which=checkpoint, recipe=recipe, units=units)
        others = {"extrapolation": extrapolator(task.dataset.data_range)} if extrapolation else {}
        with memory.told(batch_size), working(f"scoring {run}"):
            measured = measure(
                task,
                state.variables(),
                split=split,
                batch_size=batch_size,
                label=labels[run] if len(recipes) > 1 else recipe.label,
                controls=controls,
                protocol=recipe.protocol,
                devices=devices or math.gcd(batch_size, jax.device_count()),
                keep_samples=True,
                names=names,
                extra=extra,
                raft=flow,
                samples=samples,
                seed=seed,
                thresholds=thresholds,
                features=features,
                speed=speed,
                others=others,
            )
        variables = own_copy(state.variables())
        if not processes.first():
            continue
        about = scores.describe(run, task, split=split, checkpoint=checkpoint)
        described[labels[run]] = about | {"step": int(state.step)}
        written = scores.write(run, described[labels[run]], measured)
        print(f"written: {written}")
        words = f"{about['checkpoint']}, step {int(state.step)}"
        evaluated[next(iter(measured))] = Evaluated(
            task, variables, measured, run / "metrics.jsonl", words
        )
        rows |= measured
    if not processes.first():
        return
    if values is not None:
        value_tables.write(values, rows)
        print(f"written: {values}")
    pages = dict(zip(evaluated, described.values(), strict=True))
    write_beside(written.with_suffix(".html"), evaluated, pages, batch_size=batch_size)
    notes = [each["note"] for each in described.values()]
    notes += [note for row in rows.values() for note in row.details.get("notes", ())]
    for note in filter(None, dict.fromkeys(notes)):
        print(f"note: {note}")
    figures = {name: row.figures for name, row in rows.items()} | from_papers
    report.print_table(figures, title=scores.title(described))
    for threshold, events in scores.by_threshold(rows).items():
        report.print_table(events, title=f"events: {threshold} or more, in stored units")


def _on_data(recipe: Recipe, dataset: str | None, options: dict[str, str] | None) -> Recipe:
    """A run's recipe with the data that it is scored on."""
    if dataset is not None and dataset != recipe.dataset:
        known = BENCHMARKS.get(dataset)
        kept = dict(known.data_options) if known else {}
        recipe = dataclasses.replace(recipe, dataset=dataset, data_options=kept)
    merged = {**recipe.data_options, **parse_options(options or {})}
    return dataclasses.replace(recipe, data_options=merged)


def _published(recipe: Recipe) -> dict[str, dict[str, float]]:
    if recipe.protocol not in TABLES:
        raise ValueError(
            "--published needs --protocol openstl or mcvd, which published figures follow"
        )
    rows = published_figures(recipe.dataset, recipe.protocol)
    if not rows:
        raise ValueError(f"there are no published figures for {recipe.dataset}")
    if recipe.protocol == "mcvd":
        for name, value in BENCHMARKS[recipe.dataset].mcvd["data_options"].items():
            if value and recipe.data_options.get(name) != value:
                raise ValueError(
                    f"--published with protocol mcvd: {name}={recipe.data_options.get(name)!r}; "
                    f"its figures are of {name}={value!r} (--data-options {name} {value})"
                )
    return rows
