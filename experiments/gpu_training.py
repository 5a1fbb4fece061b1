"""Times whole training steps and their parts on the device: see `gpu_check`.

Recipes as published, `train_step` as it is, random clips; milliseconds as
`pallas_kernels.tools.timing` takes them.
"""

import time
from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from pallas_kernels import gpu, ssim
from pallas_kernels.splat2d import api as splat2d_api
from pallas_kernels.ssim import api as ssim_api
from pallas_kernels.tools import timing
from pallas_kernels.tools.isolated import Row, Task
from pdr_datasets import Units
from pdr_jax import optim, recipes
from pdr_jax.benchmarks import BENCHMARKS
from pdr_jax.recipes import Recipe
from pdr_jax.train import ClipSpec, init_state, train_step

DATA = ("taxibj", "kth")
PRECISIONS = ("tf32", "bf16")
TAU, PDR_TAU, PDR_LOSS = "TAU", "PDR(TAU)", "TAU with PDR's loss"
ADAPTER, RENDERER, LOSS, SSIM = "adapter and renderer", "renderer", "loss", "ssim"


class Setting(NamedTuple):
    """What a part of the training is timed at."""

    data: str
    precision: str
    quick: bool

    def recipe(self, **fields: Any) -> Recipe:
        """The published recipe; `quick` keeps its structure and shrinks everything."""
        if self.quick:
            sizes = {"hid_S": 4, "hid_T": 8, "N_S": 2, "N_T": 2, "drop_path": 0.0}
            fields |= {"batch_size": 2, "in_length": 2, "out_length": 2, "backbone_options": sizes}
        dtype: Any = "bfloat16" if self.precision == "bf16" else "float32"
        return recipes.create(self.data, dtype=dtype, **fields)

    @property
    def repeats(self) -> int:
        """Samples of a time."""
        return 1 if self.quick else timing.repeats_here()

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        height, width, channels = BENCHMARKS[self.data].frame_shape
        return (16, 16, channels) if self.quick else (height, width, channels)

    def clips(self, recipe: Recipe, length: int, seed: int = 0) -> jax.Array:
        """Random clips (B, length, H, W, C) in [0, 1]."""
        shape = (recipe.batch_size, length, *self.frame_shape)
        return jax.random.uniform(jax.random.key(seed), shape)


def tasks(data: str, precision: str, quick: bool) -> list[Task]:
    """Steps first. The plain predictor comes before the larger model, so that the peak memory
    of the process is its own.
    """  # noqa: D205
    setting = Setting(data, precision, quick)
    renderers = ["xla"] if quick else [*splat2d_api.ON_GPU, "xla"]
    similarities = ["xla"] if quick else [*ssim_api.ON_GPU, "xla"]
    functions: dict[str, Callable[[], Row]] = {
        TAU: partial(_step, setting, adapter="none"),
        PDR_TAU: partial(_step, setting, adapter="predgs"),
        ADAPTER: partial(_adapter, setting),
        **{f"{RENDERER}, {name}": partial(_renderer, setting, name) for name in renderers},
        f"{LOSS}, l1_ssim": partial(_loss, setting, "l1_ssim"),
        **{f"{SSIM}, {name}": partial(_ssim, setting, name) for name in similarities},
    }
    if quick:
        del functions[TAU]  # half the time of all, and the same function
    else:
        functions[f"{LOSS}, mse_ddr"] = partial(_loss, setting, "mse_ddr")
        functions[PDR_LOSS] = partial(_step, setting, adapter="none", loss="l1_ssim")
        for preset in ("paper", "conv"):
            functions[f"{PDR_TAU}, {preset}"] = partial(_step, setting, adapter=preset)
    return [
        Task({"data": data, "precision": precision, "what": what}, partial(_in_tf32, function))
        for what, function in functions.items()
    ]


def _in_tf32(function: Callable[[], Row]) -> Row:
    with jax.default_matmul_precision("tensorfloat32"):
        return function()


def _step(setting: Setting, **fields: Any) -> Row:
    """A whole training step."""
    recipe = setting.recipe(**fields)
    clip = ClipSpec(recipe.in_length, recipe.out_length, Units(0.0, 1.0))
    clips = setting.clips(recipe, recipe.in_length + recipe.out_length)
    model, loss = recipe.build(setting.frame_shape), recipe.build_loss((0.0, 1.0))
    tx, _ = optim.create(
        optimizer=recipe.optimizer,
        learning_rate=recipe.learning_rate,
        schedule=recipe.schedule,
        total_steps=100_000,
        epochs=recipe.epochs,
        warmup_epochs=recipe.warmup_epochs,
        weight_decay=recipe.weight_decay,
        decay=recipe.decay,
        clip_norm=recipe.clip_norm,
    )
    initialise, _ = _compile(
        setting, jax.jit(partial(init_state, model, tx, clip=clip, seed=0)), clips
    )
    state = initialise(clips)
    step = jax.jit(partial(train_step, model=model, loss=loss, tx=tx, clip=clip), donate_argnums=0)
    compiled, row = _compile(setting, step, state, clips)
    logs: Any = {}

    def call(_: int) -> Any:
        nonlocal state, logs
        state, logs = compiled(state, clips)
        return logs

    row |= timing.milliseconds(call, 1, setting.repeats)
    row |= {
        "steps_per_second": round(1e3 / row["median"], 2),
        "batch_size": recipe.batch_size,
        "clip": [recipe.in_length, recipe.out_length, *setting.frame_shape],
        "loss": recipe.loss,
        "parameters": sum(x.size for x in jax.tree.leaves(state.params)),
        "last_loss": float(logs["loss"]),
    }
    return row | _peak()


def _adapter(setting: Setting) -> Row:
    """PredGS and the drawing of its Gaussians, with the gradients of parameters and frames."""
    adapter, variables, coarse, observed, _ = _predgs(setting)
    cotangent = setting.clips(setting.recipe(), coarse.shape[1], seed=1)

    def draw(params, coarse):
        gaussians, _ = adapter.apply(
            {**variables, "params": params},
            coarse,
            observed=observed,
            train=True,
            mutable=["batch_stats"],
        )
        return jnp.vdot(gaussians.render(), cotangent)

    return _timed(setting, jax.value_and_grad(draw, (0, 1)), variables["params"], coarse)


def _renderer(setting: Setting, implementation: str) -> Row:
    """The drawing alone, with the gradients of all arrays."""
    *_, coarse, _, gaussians = _predgs(setting)
    cotangent = setting.clips(setting.recipe(), coarse.shape[1], seed=1)

    def draw(gaussians):
        return jnp.vdot(gaussians.render(implementation=implementation), cotangent)

    return _timed(setting, jax.value_and_grad(draw), gaussians)


@cache
def _predgs(setting: Setting) -> tuple:
    """The adapter, its variables, coarse and observed frames, and what it makes of them."""
    recipe = setting.recipe()
    adapter = recipe.build(setting.frame_shape).adapter
    assert adapter is not None
    coarse = setting.clips(recipe, recipe.out_length)
    observed = setting.clips(recipe, recipe.in_length, seed=2)
    initialise = jax.jit(partial(adapter.init_with_output, observed=observed))
    gaussians, variables = initialise(jax.random.key(0), coarse)
    return adapter, variables, coarse, observed, gaussians


def _loss(setting: Setting, name: str) -> Row:
    """A loss and its gradient."""
    recipe = setting.recipe(loss=name)
    pair = [setting.clips(recipe, recipe.out_length, seed) for seed in (0, 1)]
    return _timed(setting, jax.value_and_grad(recipe.build_loss((0.0, 1.0))), *pair)


def _ssim(setting: Setting, implementation: str) -> Row:
    """Mean SSIM and its gradient, as in the loss, by one implementation."""
    recipe = setting.recipe()
    pair = [setting.clips(recipe, recipe.out_length, seed) for seed in (0, 1)]

    def similarity(x, y):
        return ssim(x, y, implementation=implementation).mean()

    return _timed(setting, jax.value_and_grad(similarity), *pair)


def _timed(setting: Setting, function: Callable, *arguments: Any) -> Row:
    compiled, row = _compile(setting, jax.jit(function), *arguments)
    return row | timing.milliseconds(lambda _: compiled(*arguments), 1, setting.repeats)


def _compile(setting: Setting, function: Any, *arguments: Any) -> tuple[Callable, Row]:
    start = time.monotonic()
    hasty = setting.quick and not gpu.present()
    compiled = function.lower(*arguments).compile(
        {"xla_backend_optimization_level": 0} if hasty else None
    )
    row: Row = {"compile_s": round(time.monotonic() - start, 1)}
    if memory := compiled.memory_analysis():
        held = memory.argument_size_in_bytes + memory.output_size_in_bytes
        held += memory.temp_size_in_bytes - memory.alias_size_in_bytes
        row["program_mib"] = round(held / 2**20, 1)
    return compiled, row


def _peak() -> Row:
    """The most memory that this process has had in use, in MiB."""
    stats = jax.devices()[0].memory_stats()
    return {"peak_mib": round(stats["peak_bytes_in_use"] / 2**20, 1)} if stats else {}
