"""What an adapter adds to a training step: KTH at 64x64, 10 -> 10, TAU of three sizes, on a CPU.

    python -m experiments.step_cost

A step is forward, L1 + SSIM, backward and AdamW, on random clips. Times are CPU seconds over all
cores, the least of several calls, so that other work on the machine disturbs them little.
"""

from functools import partial
from typing import Any

import jax
import optax

from experiments import provenance
from experiments.judged import SMALL, at_half_size
from experiments.study import TWO_CORES
from pallas_kernels.tools import timing
from pdr_datasets import Units
from pdr_jax import recipes
from pdr_jax.files import write_json
from pdr_jax.recipes import Recipe
from pdr_jax.train import ClipSpec, init_state, train_step

FRAME = (64, 64, 1)
SIZES: dict[str, dict[str, Any]] = {
    "narrow": {"backbone_options": SMALL["backbone_options"], "batch_size": 4},
    "wider": {"backbone_options": TWO_CORES["backbone_options"], "batch_size": 4},
    "published": {"batch_size": 1},
}
ADAPTERS = ("none", "paper", "conv", "tracked")


def step_time(recipe: Recipe, frame_shape: tuple[int, int, int], repeats: int) -> dict[str, Any]:
    """Milliseconds of a training step, see `pallas_kernels.tools.timing`, and the parameters."""
    clip = ClipSpec(recipe.in_length, recipe.out_length, Units(0.0, 1.0))
    shape = (recipe.batch_size, recipe.in_length + recipe.out_length, *frame_shape)
    clips, model = jax.random.uniform(jax.random.key(0), shape), recipe.build(frame_shape)
    tx = optax.adamw(recipe.learning_rate)
    state = jax.jit(partial(init_state, model, tx, clip=clip, seed=0))(clips)
    loss = recipe.build_loss((0.0, 1.0))
    step = jax.jit(partial(train_step, model=model, loss=loss, tx=tx, clip=clip))
    compiled = step.lower(state, clips).compile()
    times = timing.milliseconds(lambda _: compiled(state, clips), 1, repeats)
    return {"parameters": sum(x.size for x in jax.tree.leaves(state.params)), **times}


def main() -> None:
    """Times every size with every adapter."""
    rows = []
    for size, fields in SIZES.items():
        for adapter in ADAPTERS:
            recipe = recipes.create("kth", adapter=adapter, loss="l1_ssim", out_length=10, **fields)
            row = step_time(at_half_size(recipe), FRAME, repeats=3 if size == "published" else 7)
            rows.append({"size": size, "adapter": adapter, "batch": recipe.batch_size, **row})
            print(rows[-1], flush=True)
    write_json(
        provenance.RESULTS / "step_cost_cpu.json", {**provenance.record(seeds=[0]), "rows": rows}
    )


if __name__ == "__main__":
    main()
