"""`pdr demo`: the main job on an embedded data set, in minutes on a laptop."""

import tempfile
from pathlib import Path

from pdr_jax import recipes, report, results, run
from pdr_jax.log import ProgressLine


def demo(out: Path | None = None, steps: int = 200, size: int = 32, seed: int = 0) -> None:
    """Train a plain predictor and PDR on moving sprites, from the same seed, and compare them.

    Args:
        out: Folder for the runs, the table and the pictures; a new temporary one by default.
        steps: Optimisation steps of each.
        size: Height and width of the frames in pixels.
        seed: Of parameters and data order.
    """
    out = Path(tempfile.mkdtemp(prefix="pdr-demo-")) if out is None else Path(out)
    print(f"runs and figures: {out}")
    rows: results.Rows = {}
    curves = {}
    for adapter in ("none", "predgs"):
        recipe = recipes.create(
            "moving_sprites",
            adapter=adapter,
            loss="l1_ssim",
            optimizer="adamw",
            weight_decay=1e-2,
            batch_size=8,
            steps=steps,
            save_every=steps,
            seed=seed,
        )
        recipe.data_options["size"] = size
        folder = out / ("plain" if adapter == "none" else "pdr")
        with ProgressLine(recipe.label) as progress:
            task, state = run.fit(recipe, folder, report=progress)
        scored = results.score(
            task, state.variables(), batch_size=recipe.batch_size, label=recipe.label
        )
        rows |= scored
        curves[recipe.label] = folder / "metrics.jsonl"
    run.write_json(out / "metrics.json", {"split": "test", "steps": steps, "rows": rows})
    results.print_table(
        rows,
        title=f"moving_sprites, {size}x{size}, {steps} steps each, test split",
        columns=("mse", "mae", "ssim", "psnr", "sharpness"),
    )
    try:
        pictures = results.draw(task, state.variables(), out)
        pictures.append(out / "loss.png")
        report.save_curves(pictures[-1], curves)
    except ImportError as error:
        print(f"no pictures: {error}")
    else:
        print(f"pictures in {out}: " + ", ".join(picture.name for picture in pictures))
