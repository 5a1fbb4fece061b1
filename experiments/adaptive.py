"""Does the preset "adaptive" pay, which places a budget of Gaussians by a predicted density?

    python -m experiments.adaptive

On moving sprites, 32x32x3, with two budgets N. First the adapter alone, which draws given frames:
preset "conv", "adaptive", and the latter on a grid (contrast 0), so that only the places differ.
Weights trained with one budget also draw with others. Then PDR with each of them and the smaller
budget behind a narrow TAU, 4 -> 4 frames, L1 + SSIM, beside the plain predictor. About 10 minutes
of one core.
"""

import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro

from experiments import provenance
from experiments.judged import SETTINGS
from experiments.study import Arm, Dataset, run_study
from pdr_jax import predgs
from pdr_jax.evaluation.measuring import parameter_count
from pdr_jax.files import write_json
from pdr_jax.predgs import PredGS, PredGSConfig
from pdr_jax.recipes import Recipe
from pdr_jax.task import open_dataset

SEEDS = (0, 1, 2)
WINDOWS = {64: 25, 256: 15}
"""By budget: the largest standard deviation, a tenth of it, is about the mean spacing."""
OTHERS = {64: (32, 128, 256), 256: ()}
"""Budgets that weights draw with besides the one that they were trained with."""
BATCH = 24
OPTIMIZER = optax.adamw(5e-3, weight_decay=1e-2)


def config(name: str, budget: int) -> PredGSConfig:
    """The adapter of an arm: "conv", "adaptive" or "adaptive, grid"."""
    sizes: dict[str, Any] = {"num_gaussians": budget, "window": WINDOWS[budget]}
    if name == "conv":
        # The smallest cells that share the budget evenly.
        return predgs.create("conv", pool={64: 4, 256: 2}[budget], **sizes)
    return predgs.create("adaptive", **sizes, **({"contrast": 0.0} if "grid" in name else {}))


ADAPTERS = ("conv", "adaptive, grid", "adaptive")


def recipe(adapter: PredGSConfig | None, steps: int) -> Recipe:
    """Of a run with a predictor."""
    made = SETTINGS["moving_sprites"].recipe(
        full=False,
        adapter="none" if adapter is None else adapter.heads,
        loss="l1_ssim",
        in_length=4,
        out_length=4,
        steps=steps,
    )
    return made if adapter is None else dataclasses.replace(made, predgs=adapter)


def stills(dataset: Dataset, split: str, count: int) -> jax.Array:
    """(count, 1, H, W, C): a frame in [0, 1] from each of the first clips."""
    source = dataset.splits[split]
    frames = [np.asarray(source[i]["frames"])[i % 8] for i in range(count)]
    return jnp.asarray(np.stack(frames)[:, None], jnp.float32) / 255


@functools.partial(jax.jit, static_argnums=0)
def error(adapter: PredGS, variables: Any, frames: jax.Array) -> jax.Array:
    """MSE of what an adapter draws of frames."""
    gaussians: Any = adapter.apply(variables, frames)
    return jnp.mean((gaussians.render() - frames) ** 2)


@functools.partial(jax.jit, static_argnums=0)
def step(adapter: PredGS, state: Any, frames: jax.Array) -> Any:
    """One step of an adapter alone; the state is (params, batch_stats, optimiser's)."""
    params, stats, slots = state

    def loss(params: Any) -> Any:
        gaussians, updates = adapter.apply(
            {"params": params, "batch_stats": stats}, frames, train=True, mutable=["batch_stats"]
        )
        return jnp.mean((gaussians.render() - frames) ** 2), updates["batch_stats"]

    grads, stats = jax.grad(loss, has_aux=True)(params)
    updates, slots = OPTIMIZER.update(grads, slots, params)
    return optax.apply_updates(params, updates), stats, slots


def fits(dataset: Dataset, steps: int) -> Iterator[dict[str, Any]]:
    """Adapters alone: how well they draw frames of the test split that they are given."""
    train, test = stills(dataset, "train", 512), stills(dataset, "test", 64)
    for budget in WINDOWS:
        for name in ADAPTERS:
            adapter = PredGS(config(name, budget))
            others = OTHERS[budget] if adapter.config.heads == "adaptive" else ()
            for seed in SEEDS:
                variables = jax.jit(adapter.init)(jax.random.key(seed), train[:BATCH])
                params, stats = variables["params"], variables["batch_stats"]
                state = (params, stats, OPTIMIZER.init(params))
                rng = np.random.default_rng(seed)
                for _ in range(steps):
                    state = step(adapter, state, train[rng.choice(len(train), BATCH)])
                variables = {"params": state[0], "batch_stats": state[1]}
                mse = {}
                for count in (budget, *others):
                    other = dataclasses.replace(adapter.config, num_gaussians=count)
                    mse[str(count)] = float(error(PredGS(other), variables, test))
                yield {
                    "adapter": name,
                    "budget": budget,
                    "seed": seed,
                    "parameters": parameter_count(variables),
                    "mse": mse,
                }


def main(
    fit_steps: int = 300,
    steps: int = 200,
    folder: Path = Path("runs/adaptive"),
) -> None:
    """Runs the study and writes results/adaptive.json.

    Args:
        fit_steps: Optimisation steps of adapters alone.
        steps: Optimisation steps of predictors.
        folder: Of finished runs with a predictor, which are not repeated.
    """
    plain = recipe(None, steps)
    dataset = open_dataset(plain)
    frames = []
    for row in fits(dataset, fit_steps):
        print(row, flush=True)
        frames.append(row)
    arms = [Arm("plain", plain)]
    budget = min(WINDOWS)
    for name in ADAPTERS:
        arms.append(Arm(f"PDR {name}, N = {budget}", recipe(config(name, budget), steps)))
    runs = run_study(arms, SEEDS, dataset=dataset, evaluate_on={"4 -> 4": dataset}, folder=folder)
    result = {
        **provenance.record(seeds=list(SEEDS)),
        "windows": {str(budget): window for budget, window in WINDOWS.items()},
        "fit_steps": fit_steps,
        "frames": frames,
        "runs": runs,
    }
    write_json(provenance.RESULTS / "adaptive.json", result)


if __name__ == "__main__":
    tyro.cli(main)
