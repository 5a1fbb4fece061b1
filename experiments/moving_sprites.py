"""The picture and the table of the top README: plain and PDR on moving sprites.

    python -m experiments.moving_sprites
    python -m experiments.tables

Sprites that move and turn before a textured background, which the data set draws itself: 32x32x3,
4 -> 4 frames, 1024 training clips. The plain predictor (TAU, narrow), the same widened to at least
PDR's parameters, and PDR: all with L1 + SSIM, the same optimiser, steps and seeds. Two idle cores
take about a minute for each of the nine runs.
"""

from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import tyro

from experiments import provenance
from experiments.study import Arm, adapter_arm, latest, plain_matched, run_study
from pdr_jax import recipes
from pdr_jax.evaluation import predictors
from pdr_jax.files import write_json
from pdr_jax.pdr import PDROutput
from pdr_jax.recipes import DEFAULT_ADAPTER, Recipe
from pdr_jax.report import ellipses, style
from pdr_jax.runs.state import load
from pdr_jax.task import open_dataset

SEEDS = (0, 1, 2)


def recipe(adapter: str, steps: int) -> Recipe:
    """The recipe of a run; loss and optimiser are the same with any adapter."""
    made = recipes.create(
        "moving_sprites",
        adapter=adapter,
        in_length=4,
        out_length=4,
        loss="l1_ssim",
        optimizer="adamw",
        weight_decay=1e-2,
        batch_size=8,
        steps=steps,
        save_every=steps,
        holdout=0.0,
        devices=1,
    )
    made.data_options["num_train"] = 1024
    return made


def arms(steps: int) -> list[Arm]:
    """The rows of the table."""
    plain, pdr = recipe("none", steps), recipe(DEFAULT_ADAPTER, steps)
    wide = Arm(f"plain, as large as PDR, {plain.loss}", plain, plain_matched(pdr))
    return [adapter_arm(plain), wide, adapter_arm(pdr)]


def predict(run: Path, clip: int) -> tuple[np.ndarray, np.ndarray, PDROutput]:
    """Observed frames, true future and outputs of a run's last state on a test clip."""
    task, state = load(run, which="last")
    assert task.test is not None
    frames = jnp.asarray(task.test[clip]["frames"])[None]
    observed, truth = task.clip.split(frames)
    output = predictors.apply(
        task.model, state.variables(), observed, task.clip.horizon, "decompose"
    )
    return np.asarray(observed[0]), np.asarray(truth[0]), output


def draw(plain: Path, pdr: Path, path: Path, *, clip: int) -> None:
    """Saves input, truth, both predictions and PDR's Gaussians on one test clip as PNG.

    Args:
      plain: run folder of the plain predictor.
      pdr: run folder of PDR.
      path: of the picture.
      clip: which test clip.
    """
    observed, truth, with_pdr = predict(pdr, clip)
    _, _, without = predict(plain, clip)
    assert with_pdr.rendered is not None
    assert with_pdr.gaussians is not None
    rendered = np.asarray(with_pdr.rendered[0])
    rows = {
        "truth": truth,
        "plain": np.asarray(without.prediction[0]),
        "PDR": np.asarray(with_pdr.prediction[0]),
        "Gaussians": (rendered - rendered.min()) / (rendered.max() - rendered.min()),
    }
    before, after = len(observed), len(truth)
    figure = style.new_figure(9.0, 4.6)
    grid = figure.add_gridspec(
        len(rows), before + after, left=0.035, right=0.9, top=0.95, bottom=0.01,
        wspace=0.05, hspace=0.05,
    )  # fmt: skip

    def show(place: Any, frame: np.ndarray, title: str = "") -> Any:
        axes = figure.add_subplot(place)
        axes.imshow(style.to_rgb(frame, 0, 1), interpolation="nearest")
        axes.set_title(title, size=9, color=style.INK, pad=3)
        axes.set(xticks=[], yticks=[], anchor="C")
        axes.spines[:].set_visible(False)
        return axes

    for column, frame in enumerate(observed):
        axes = show(grid[0, column], frame, f"{column - before + 1}")
        if column == 0:
            axes.set_ylabel("input", size=10, color=style.INK)
    for row, (name, frames) in enumerate(rows.items()):
        for column, frame in enumerate(frames):
            axes = show(grid[row, before + column], frame, f"+{column + 1}" if row == 0 else "")
        axes.yaxis.set_label_position("right")
        axes.set_ylabel(name, size=10, color=style.INK, rotation=0, ha="left", va="center")

    axes = show(grid[1:, : before - 1], rows["PDR"][-1])
    axes.set(anchor="W", autoscale_on=False)
    mean, scale, rotation, amplitude = (
        np.asarray(array[0, -1]) for array in with_pdr.gaussians.pixels()
    )
    strength = amplitude.mean(-1)
    colours = np.where(strength[:, None] >= 0, [[1.0, 0.6, 0.1]], [[0.2, 0.7, 1.0]])
    alpha = np.abs(strength) / np.abs(strength).max()
    lines = style.require("matplotlib.collections").LineCollection(
        ellipses.ellipses(mean, scale, rotation),
        colors=np.concatenate([colours, 0.2 + 0.8 * alpha[:, None]], 1),
        linewidths=1.2,
    )
    axes.add_collection(lines)
    figure.text(
        0.365, 0.36,
        f"PDR at +{after}\nand its {len(mean)}\nGaussians\nat one sigma:\n"
        "orange adds,\nblue subtracts",
        size=9, color=style.INK, va="center", linespacing=1.4,
    )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=200, metadata={"Software": None})


def main(
    steps: int = 300,
    clip: int = 0,
    folder: Path = Path("runs/moving_sprites"),
    shard: tuple[int, int] = (0, 1),
) -> None:
    """Runs the study and draws the picture.

    Args:
        steps: Optimisation steps of each run.
        clip: The test clip of the picture.
        folder: Of finished runs, which are not repeated.
        shard: Index and count of the processes that share the runs; the one that calls without
            writes the result.
    """
    rows = arms(steps)
    dataset = open_dataset(rows[0].recipe)
    horizon = f"{dataset.in_length} -> {dataset.out_length}"
    runs = run_study(
        rows, SEEDS, shard=shard, dataset=dataset, evaluate_on={horizon: dataset}, folder=folder
    )
    if shard == (0, 1):
        sizes = {name: len(source) for name, source in dataset.splits.items()}
        result = {
            **provenance.record(seeds=list(SEEDS)),
            "data": f"moving_sprites, {'x'.join(map(str, dataset.frame_shape))}, {horizon}: "
            f"{sizes['train']} training and {sizes['test']} test clips",
            "runs": runs,
        }
        write_json(provenance.RESULTS / "moving_sprites.json", result)
        draw(
            latest(folder, rows[0].label, SEEDS[0]),
            latest(folder, rows[-1].label, SEEDS[0]),
            provenance.RESULTS / "figures" / "moving_sprites.png",
            clip=clip,
        )


if __name__ == "__main__":
    tyro.cli(main)
