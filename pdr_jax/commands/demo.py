"""`pdr demo`."""

import tempfile
from pathlib import Path

from pdr_jax import recipes, report
from pdr_jax.commands.finish import show_pictures
from pdr_jax.commands.progress import TrainingProgress
from pdr_jax.evaluation.measuring import Rows, score
from pdr_jax.files import write_json
from pdr_jax.recipes import Recipe
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
    logs, models = {}, {}
    for adapter, name in (("none", "plain"), ("predgs", "pdr")):
        recipe = _recipe(adapter, out / "data", steps=steps, size=size, seed=seed)
        task = open_task(recipe)
        with TrainingProgress(recipe.label) as progress:
            state = fit(task, out / name, report=progress)
        rows |= score(task, state.variables(), batch_size=recipe.batch_size, label=recipe.label)
        logs[recipe.label] = out / name / "metrics.jsonl"
        models[recipe.label] = task, state.variables()
    write_json(out / "metrics.json", {"split": "test", "steps": steps, "rows": rows})
    report.print_table(
        rows,
        title=f"moving_sprites, {size}x{size}, {steps} steps each, test split",
        columns=("mse", "mae", "ssim", "psnr", "sharpness"),
    )
    show_pictures(task, state.variables(), out, logs, models)


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
