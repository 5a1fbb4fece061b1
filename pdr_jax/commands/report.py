"""`pdr report`: a page for the browser, of one run or of several side by side."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import tyro

from pdr_jax.benchmarks.figures import published_figures
from pdr_jax.commands.progress import working
from pdr_jax.evaluation.explorer import Evaluated, explore
from pdr_jax.evaluation.measuring import measure
from pdr_jax.report.html import Content, TooLargeError, save_page
from pdr_jax.runs import memory, scores
from pdr_jax.runs.folder import read_recipe
from pdr_jax.runs.state import load
from pdr_jax.task import Task

CLIPS = 5


def report_runs(
    run_folders: tyro.conf.Positional[tuple[Path, ...]],
    out: Path = Path("report.html"),
    clips: int = CLIPS,
    split: Literal["test", "holdout"] | None = None,
    checkpoint: Literal["best", "last"] = "best",
    batch_size: int = 16,
    controls: bool = True,
) -> None:
    """Write a page of runs for the browser: one file, which needs no network.

    Args:
        run_folders: Run folders; several are put side by side.
        out: The .html file.
        clips: Clips to look at, from the worst to the best; fewer where the file would get too
            large.
        split: The test clips, or the training clips that were held out; by default the test clips
            if there are any.
        checkpoint: The best or the last checkpoint.
        batch_size: Clips at a time; does not change the figures.
        controls: Whether to measure controls, which tell whether the renderer is used.
    """
    if not run_folders:
        raise ValueError("no run folder is given: pdr report RUN [RUN ...]")
    for name, value in (("batch_size", batch_size), ("clips", clips)):
        if value < 1:
            raise ValueError(f"{name}={value}: expected 1 or more")
    if out.suffix != ".html":
        raise ValueError(f"out={str(out)!r}: expected a name that ends in .html")
    labels = scores.row_labels(run_folders)
    recipes = {run: read_recipe(run) for run in run_folders}
    scores.check_comparable(recipes, split or "test")
    runs: dict[str, Evaluated] = {}
    described: dict[str, dict[str, Any]] = {}
    for run, recipe in recipes.items():
        task, state = load(run, which=checkpoint, recipe=recipe)
        label = labels[run] if len(recipes) > 1 else recipe.label
        part = split or measured_split(task)
        measured = {}
        print(f"{run}: {part} clips ...")
        if part != "train":
            with memory.told(batch_size), working(f"scoring {run}"):
                measured = measure(
                    task,
                    state.variables(),
                    split=part,
                    batch_size=batch_size,
                    label=label,
                    controls=controls,
                    protocol=recipe.protocol,
                    keep_samples=True,
                )
        described[label] = scores.describe(run, task, split=part, checkpoint=checkpoint)
        words = f"{described[label]['checkpoint']}, step {int(state.step)}"
        runs[label] = Evaluated(task, state.variables(), measured, run / "metrics.jsonl", words)
    write_report(out, runs, described, clips=clips, batch_size=batch_size)


def write_report(
    out: Path,
    runs: Mapping[str, Evaluated],
    described: Mapping[str, Mapping[str, Any]],
    *,
    clips: int = CLIPS,
    batch_size: int = 16,
) -> None:
    """Writes the page of runs that were evaluated, and says where it is.

    Args:
      out: the .html file.
      runs: by label.
      described: what `scores.describe` returned of each; the split is read from it.
      clips: how many to show, at most.
      batch_size: that of the evaluation.
    """
    first = next(iter(runs.values())).task
    about = next(iter(described.values()))
    compares = first.recipe.protocol == "openstl" and about["split"] == "test"
    with working(f"drawing {out}"):
        shown, chosen = explore(runs, split=about["split"], clips=clips, batch_size=batch_size)
    label = next(iter(runs)) if len(runs) == 1 else f"{len(runs)} runs"
    kept = save_page(
        out,
        Content(
            title=f"{label} on {first.recipe.dataset}",
            about=scores.title(described),
            data_range=first.dataset.data_range,
            runs=shown,
            clips=chosen,
            published=published_figures(first.recipe.dataset) if compares else {},
            notes=list(filter(None, dict.fromkeys(each["note"] for each in described.values()))),
        ),
    )
    left = f" ({kept} of {len(chosen)} clips: more do not fit)" if kept < len(chosen) else ""
    print(f"report: {out}{left}")


def write_beside(out: Path, *args: Any, **options: Any) -> None:
    """As `write_report`, beside results that stand without a page that would get too large."""
    try:
        write_report(out, *args, **options)
    except TooLargeError as error:
        print(f"note: no report is written: {error}")


def measured_split(task: Task) -> str:
    """The split that a run is shown on: test clips, else held-out ones, else those of training."""
    if task.test is not None:
        return "test"
    return "holdout" if task.holdout is not None else "train"
