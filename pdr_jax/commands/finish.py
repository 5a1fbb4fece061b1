"""The end of a training on the command line: figures and pictures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pdr_jax import processes, report
from pdr_jax.commands.progress import working
from pdr_jax.commands.report import measured_split, write_beside
from pdr_jax.evaluation import pictures
from pdr_jax.evaluation.explorer import Evaluated
from pdr_jax.evaluation.figures import Measured
from pdr_jax.evaluation.measuring import measure
from pdr_jax.files import write_json
from pdr_jax.runs import scores
from pdr_jax.runs.state import load
from pdr_jax.sharding import own_copy
from pdr_jax.task import Task


def finish(run: Path) -> None:
    """Evaluates the best checkpoint: prints figures, writes metrics.json, pictures, report.html.

    A run without test clips is scored on its held-out clips. A run that has neither gets no
    figures, and pictures of a training clip.
    """
    task, state = load(run)
    recipe = task.recipe
    split = measured_split(task)
    described = scores.describe(run, task, split=split, checkpoint="best")
    measured: dict[str, Measured] = {}
    if split == "train":
        print(f"no figures: {recipe.dataset} has no test clips, and none are held out")
    else:
        with working(f"scoring {run}"):
            measured = measure(
                task,
                state.variables(),
                split=split,
                batch_size=recipe.batch_size,
                label=recipe.label,
                protocol=recipe.protocol,
                keep_samples=True,
            )
    variables = own_copy(state.variables())
    if not processes.first():
        return
    if measured:
        rows = {name: row.figures for name, row in measured.items()}
        write_json(run / "metrics.json", {**described, "rows": rows})
        report.print_table(rows, title=scores.title({recipe.label: described}))
    log, words = run / "metrics.jsonl", f"{described['checkpoint']}, step {int(state.step)}"
    show_pictures(task, variables, run, {recipe.label: log})
    write_beside(
        run / "report.html",
        {recipe.label: Evaluated(task, variables, measured, log, words)},
        {recipe.label: described},
        batch_size=recipe.batch_size,
    )


def show_pictures(
    task: Task,
    variables: Mapping[str, Any],
    folder: Path,
    logs: Mapping[str, Path],
    models: Mapping[str, tuple[Task, Mapping[str, Any]]] | None = None,
) -> None:
    """Draws a clip and the loss curves of `logs` into a folder, or prints why it cannot.

    Given `models`, as `pdr_jax.evaluation.pictures.compare` takes them, it compares them as well.
    """
    try:
        drawn = [*pictures.draw(task, variables, folder), folder / "loss.png"]
        report.save_curves(drawn[-1], logs)
        if models:
            drawn.insert(0, folder / "side_by_side.png")
            pictures.compare(models, drawn[0])
    except ImportError as error:
        print(f"no pictures: {error}")
    else:
        print(f"pictures in {folder}: " + ", ".join(path.name for path in drawn))
