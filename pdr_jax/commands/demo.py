"""`pdr demo`."""

import tempfile
from pathlib import Path

from pdr_jax import recipes, report
from pdr_jax.commands.finish import show_pictures
from pdr_jax.commands.progress import TrainingProgress, working
from pdr_jax.commands.report import write_beside
from pdr_jax.evaluation.explorer import Evaluated
from pdr_jax.evaluation.measuring import Rows, measure
from pdr_jax.files import write_json
from pdr_jax.recipes import Recipe
from pdr_jax.runs import scores
from pdr_jax.runs.fit import fit
from pdr_jax.task import open_task


def demo(out: Path | None = None, steps: int = 150, size: int = 32, seed: int = 0) -> None:
    """Train a plain predictor and PDR on moving sprites, from the same seed, and compare them.

    Args:
        out: Folder for the runs, the table and the pictures; a new temporary one by default.
        steps: Optimisation steps of each.
        size: Height and width of the frames in pixels.
        seed: Of parameters and data order.
    """
    if steps < 1:
        raise ValueError(f"steps={steps}: expected 1 or more")
    out = Path(tempfile.mkdtemp(prefix="pdr-demo-")) if out is None else Path(out)
    print(f"runs, data and figures: {out}")
    rows: Rows = {}
    logs, models, evaluated, described = {}, {}, {}, {}
    for adapter, name in (("none", "plain"), ("predgs", "pdr")):
        recipe = _recipe(adapter, out / "data", steps=steps, size=size, seed=seed)
        task = open_task(recipe)
        with TrainingProgress(recipe.label) as progress:
            state = fit(task, out / name, report=progress)
        label, log, variables = recipe.label, out / name / "metrics.jsonl", state.variables()
        with working(f"scoring {out / name}"):
            measured = measure(
                task, variables, batch_size=recipe.batch_size, label=label, keep_samples=True
            )
        rows |= {row: found.figures for row, found in measured.items()}
        logs[label], models[label] = log, (task, variables)
        evaluated[label] = Evaluated(task, variables, measured, log, f"step {steps}")
        described[label] = scores.describe(out / name, task, split="test", checkpoint="last")
    write_json(out / "metrics.json", {"split": "test", "steps": steps, "rows": rows})
    report.print_table(
        rows,
        title=f"moving_sprites, {size}x{size}, {steps} steps each, test split",
        columns=("mse", "mae", "ssim", "psnr", "sharpness"),
    )
    show_pictures(task, variables, out, logs, models)
    write_beside(out / "report.html", evaluated, described, batch_size=task.recipe.batch_size)


def _recipe(adapter: str, data_dir: Path, *, steps: int, size: int, seed: int) -> Recipe:
    """The recipe of one of the demo's runs; both have the same loss and optimiser."""
    recipe = recipes.create(
        "moving_sprites",
        adapter=adapter,
        data_dir=data_dir,
        loss="l1_ssim",
        optimizer="adamw",
        weight_decay=1e-2,
        batch_size=8,
        steps=steps,
        save_every=steps,
        seed=seed,
    )
    recipe.data_options["size"] = size
    return recipe
