"""Each benchmark's published settings."""

import copy
import dataclasses
from typing import Any

from pdr_jax import backbones, fields, predgs
from pdr_jax.benchmarks import BENCHMARKS, TRAINING
from pdr_jax.predgs import PredGS
from pdr_jax.recipes.recipe import ADAPTERS, DIFFUSION, LOSS_OPTIONS, Recipe

# The adapter that `adapter="predgs"` stands for, chosen by measurement: experiments/README.md.
DEFAULT_ADAPTER = "tracked"


def create(
    dataset: str,
    *,
    backbone: str = "tau",
    adapter: str = "predgs",
    loss: str | None = None,
    **overrides: Any,
) -> Recipe:
    """The published recipe of a benchmark with some fields overridden.

    Args:
      dataset: a key of BENCHMARKS.
      backbone: a name in `pdr_jax.backbones.names()`. If no settings were published for it on this
        benchmark, it gets its own defaults and a learning rate of 1e-3.
      adapter: see `Recipe`.
      loss: by default L1 + SSIM (PDR's) with PredGS, and the backbone's own loss without.
      **overrides: fields of `Recipe`.

    Raises:
      ValueError: an unknown name or field, or a value out of range.
    """
    fields.check_one_of("dataset", dataset, BENCHMARKS)
    benchmark = BENCHMARKS[dataset]
    fields.check_one_of("backbone", backbone, backbones.names())
    fields.check_one_of("adapter", adapter, ADAPTERS)
    settings = benchmark.settings(backbone)
    first = adapter.partition("+")[0]
    preset = DEFAULT_ADAPTER if first in ("predgs", "none", DIFFUSION) else first
    with_adapter = first not in ("none", DIFFUSION)
    samples = DIFFUSION in adapter.split("+")
    training = TRAINING.get(backbone, {})
    loss = loss or ("l1_ssim" if with_adapter else training.get("loss", "mse"))
    sizes = {
        "num_gaussians": benchmark.num_gaussians,
        "window": benchmark.window,
        "pool": benchmark.pool,
    }
    own = predgs.PRESETS[preset]  # a preset's sizes come first: those of tracked are pixels
    config = overrides.get(
        "predgs", predgs.create(preset, **{k: v for k, v in sizes.items() if k not in own})
    )
    options = {
        name: value
        for name, value in backbones.hyperparameters(backbone).items()
        if name != "dtype" and value is not None
    }
    published: dict[str, Any] = {
        "dataset": dataset,
        "in_length": benchmark.in_length,
        "out_length": benchmark.out_length,
        "backbone": backbone,
        "backbone_options": {**options, **settings.options},
        "data_options": dict(benchmark.data_options),
        "adapter": adapter,
        "predgs": config,
        "fusion": PredGS(config).fusion,
        "fusion_init": "random" if preset == "paper" else "pass_through",
        "loss": loss,
        "loss_options": dict(LOSS_OPTIONS.get(loss, {})),
        "optimizer": "adamw" if with_adapter else training.get("optimizer", "adam"),
        "weight_decay": 1e-2 if with_adapter else training.get("weight_decay", 0.0),
        "decay": "all" if preset == "paper" else "kernels",
        "learning_rate": settings.learning_rate,
        "schedule": benchmark.schedule,
        "warmup_epochs": benchmark.warmup_epochs,
        "epochs": benchmark.epochs,
        "ema_decay": 0.99 if samples else 0.0,
        "sampling": training.get("sampling", "none"),
        "sampling_options": dict(training.get("sampling_options", {})),
        **settings.fields,
    }
    known = {field.name for field in dataclasses.fields(Recipe)}
    for name in overrides:
        fields.check_one_of("recipe field", name, known)
    by_protocol = copy.deepcopy(benchmark.mcvd) if overrides.get("protocol") == "mcvd" else {}
    return Recipe(**{**published, **by_protocol, **overrides})


def published_backbone(name: str, dataset: str, **options: Any) -> backbones.Backbone:
    """A backbone as it was published on a benchmark, in its faithful form where it has one.

    Args:
      name: of the backbone.
      dataset: a key of BENCHMARKS.
      **options: hyperparameters in place of the recipe's.
    """
    recipe = create(dataset, backbone=name, adapter="none")
    faithful = {"faithful": True} if "faithful" in recipe.backbone_options else {}
    shape = (recipe.in_length, *BENCHMARKS[dataset].frame_shape)
    return backbones.create(name, shape, **recipe.backbone_options | faithful | options)
