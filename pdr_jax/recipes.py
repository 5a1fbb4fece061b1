"""Recipes: everything that defines a run, with each benchmark's published settings as defaults.

    recipe = recipes.create("kth", backbone="tau", adapter="predgs", loss="l1_ssim")

A recipe is dataset x backbone x adapter x loss. `create` fills in the published settings (OpenSTL's
configuration files; the PDR paper's table of settings), and every field can be replaced.
"""

import dataclasses
import difflib
import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal

import jax.numpy as jnp

from pdr_jax import backbones, fields, losses, predgs
from pdr_jax import sampling as schedules
from pdr_jax.backbones.base import FramePredictor
from pdr_jax.backbones.checks import FrameSizeError
from pdr_jax.benchmarks import BENCHMARKS, TRAINING
from pdr_jax.pdr import PDR
from pdr_jax.predgs import PredGS, PredGSConfig, TrackingConfig

# The adapter that `adapter="predgs"` stands for, chosen by measurement: experiments/README.md.
DEFAULT_ADAPTER = "tracked"
TEACHER_RATE = 0.003  # PhyDNet's P(true future frame) falls by this much in an epoch
ADAPTERS = ("none", "predgs", *predgs.PRESETS)
Protocol = Literal["standard", "openstl"]
# With the data set and the protocol, these fields decide which clips a run sees.
CLIP_FIELDS = ("in_length", "out_length", "data_options", "data_dir")

_NOT_NEGATIVE = (
    "steps",
    "seed",
    "warmup_epochs",
    "save_every",
    "save_minutes",
    "devices",
    "resident_mib",
    "weight_decay",
    "clip_norm",
    "coarse_weight",
)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A run, in full. Lengths are in frames, sizes in pixels.

    Attributes:
      dataset: a name in `pdr_datasets.names()`.
      data_dir: where prepared data sets lie; None is the default place.
      data_options: options of the data set's loader (frame size, path of an array, ...); the value
        "" stands for the loader's default.
      in_length: observed frames, T.
      out_length: predicted frames, T'.
      backbone: a name in `pdr_jax.backbones.names()`.
      backbone_options: its hyperparameters.
      adapter: "none" is the plain predictor, and loss and optimiser default to the backbone's own;
        "predgs" is the default preset; or a preset by name.
      predgs: the adapter's configuration.
      fusion: "conv", "gate", "add" or "none", see `pdr_jax.pdr.PDR`.
      fusion_init: of "conv", "random" or "pass_through".
      gate_start: of "gate".
      dtype: the backbone's compute type; parameters, Gaussians and losses are float32.
      loss: "mse", "mse_ddr" (TAU's), "mse_l1" (E3D-LSTM's), "mse_hffl" (WaST's), "l1" or
        "l1_ssim" (PDR's).
      loss_options: options of the loss: "weight" (lambda) and "signed" of l1_ssim, see
        `pdr_jax.losses.ssim`; "weight" of mse_hffl; "alpha" of mse_ddr.
      coarse_weight: weight of the same loss on the coarse frames.
      sampling: when a recurrent backbone sees true future frames in training: never ("none"), or
        by one of the schedules in `pdr_jax.sampling`: "scheduled", "reverse" or "teacher".
      sampling_options: options of the schedule; by default the rate of "teacher" is 0.003 an epoch.
      optimizer: "adam" or "adamw".
      learning_rate: the schedule's peak.
      schedule: "onecycle", "cosine" or "constant".
      warmup_epochs: epochs of linear warm-up, for "cosine".
      weight_decay: decoupled weight decay, for "adamw".
      decay: which parameters decay, "all" or "kernels"; see `pdr_jax.optim.create`.
      clip_norm: the largest gradient norm; 0 does not clip.
      ema_decay: decay of the averaged parameters that evaluation uses; 0 keeps no averages.
      batch_size: clips a step, over all devices.
      epochs: passes over the training clips.
      steps: optimiser steps in place of `epochs`; 0 trains for `epochs`.
      protocol: "standard", or "openstl" to compare with published figures; see
        `pdr_jax.evaluation.protocols`.
      holdout: share of the training clips, the last of them, that is held out to choose the best
        checkpoint; protocol "openstl" holds out none and chooses on the test set.
      augment: whether training clips are augmented as OpenSTL can; published runs were not.
      init_from: a run folder; training starts from its best parameters. "" draws new ones.
      seed: of parameters, data order and stochastic depth.
      save_every: steps between checkpoints; 0 is once an epoch.
      save_minutes: minutes after which a checkpoint is saved between those, unscored; 0 saves none.
      log_every: steps between lines of metrics.jsonl.
      devices: how many to train on; 0 takes all.
      model_parallel: of these, how many share a copy of the parameters.
      resident_mib: keeps a copy of the training clips on every device. The run is refused if their
        distinct frames take more than so many MiB. 0 streams the clips; the figures are the same.
    """

    dataset: str
    in_length: int
    out_length: int
    backbone: str
    backbone_options: dict[str, Any]
    adapter: str
    learning_rate: float
    epochs: int
    loss: str
    loss_options: dict[str, float] = dataclasses.field(default_factory=dict)
    data_options: dict[str, Any] = dataclasses.field(default_factory=dict)
    data_dir: Path | None = None
    predgs: PredGSConfig = dataclasses.field(default_factory=PredGSConfig)
    fusion: Literal["conv", "gate", "add", "none"] = "conv"
    fusion_init: Literal["random", "pass_through"] = "pass_through"
    gate_start: float = 0.1
    dtype: Literal["float32", "bfloat16"] = "float32"
    coarse_weight: float = 0.0
    sampling: Literal["none", "scheduled", "reverse", "teacher"] = "none"
    sampling_options: dict[str, float] = dataclasses.field(default_factory=dict)
    optimizer: Literal["adam", "adamw"] = "adam"
    schedule: Literal["onecycle", "cosine", "constant"] = "onecycle"
    warmup_epochs: int = 0
    weight_decay: float = 0.0
    decay: Literal["all", "kernels"] = "kernels"
    clip_norm: float = 0.0
    ema_decay: float = 0.0
    batch_size: int = 16
    steps: int = 0
    protocol: Protocol = "standard"
    holdout: float = 0.05
    augment: bool = False
    init_from: str = ""
    seed: int = 0
    save_every: int = 0
    save_minutes: float = 15.0
    log_every: int = 10
    devices: int = 0
    model_parallel: int = 1
    resident_mib: int = 0

    def __post_init__(self) -> None:
        fields.check_fields(self)
        positive = ("batch_size", "epochs", "log_every", "model_parallel")
        fields.check_range(self, positive, 1)
        fields.check_range(self, _NOT_NEGATIVE, 0)
        fields.check_range(self, ("in_length", "out_length"), 1, fields.LARGEST_SIZE)
        _require(self, "resident_mib", not (self.resident_mib and self.augment), "0 with augment")
        for name in ("learning_rate", "gate_start"):
            _require(self, name, getattr(self, name) > 0, "more than 0")
        _require(self, "holdout", 0 <= self.holdout < 1, "at least 0 and less than 1")
        _require(self, "ema_decay", 0 <= self.ema_decay < 1, "at least 0 and less than 1")
        _require_one_of("backbone", self.backbone, backbones.names())
        fields.check_options("backbone_options", self.backbone_options, fields.LARGEST_SIZE)
        known = backbones.hyperparameters(self.backbone).keys() - {"dtype"}  # a field of its own
        for name in self.backbone_options:
            _require_one_of("backbone_options", name, known)
        _require_one_of("adapter", self.adapter, ADAPTERS)
        _require_one_of("loss", self.loss, losses.LOSSES)
        if "data_range" in self.loss_options:
            raise ValueError("loss_options.data_range: expected none; it is that of the data")
        self.build_loss((0.0, 1.0))
        if self.sampling != "none":
            self.build_sampling(steps_per_epoch=1)
            if not issubclass(backbones.backbone(self.backbone), FramePredictor):
                raise ValueError(
                    f"sampling={self.sampling!r}: expected 'none'; {self.backbone} predicts a "
                    "whole clip at once and never sees future frames"
                )

    @property
    def label(self) -> str:
        """The model's name in tables, such as "tau + predgs"."""
        return self.backbone if self.adapter == "none" else f"{self.backbone} + {self.adapter}"

    def build(self, frame_shape: tuple[int, int, int]) -> PDR:
        """The model, for frames of (H, W, C)."""
        adapter = None
        if self.adapter != "none":
            count = self._gaussians(frame_shape)
            adapter = PredGS(dataclasses.replace(self.predgs, num_gaussians=count))
        try:
            backbone = backbones.create(
                self.backbone,
                in_shape=(self.in_length, *frame_shape),
                dtype=jnp.dtype(self.dtype),
                **self.backbone_options,
            )
        except FrameSizeError as error:
            resize = "set data_options.crop or data_options.pad to another (height, width)"
            advice = f"; or {resize}" if self.dataset == "arrays" else ""
            raise ValueError(f"backbone_options: {error}{advice}") from error
        except (ValueError, TypeError) as error:
            raise ValueError(f"backbone_options: {error}") from error
        return PDR(
            backbone,
            adapter,
            fusion=self.fusion,
            fusion_init=self.fusion_init,
            gate_start=self.gate_start,
        )

    def gaussians_note(self, frame_shape: tuple[int, int, int]) -> str:
        """A remark if a frame of (H, W, C) gets more Gaussians than the recipe says; else ""."""
        count = self.predgs.num_gaussians
        if self.adapter != "none":
            count = self._gaussians(frame_shape)
        if count == self.predgs.num_gaussians:
            return ""
        return (
            f"predgs.num_gaussians={self.predgs.num_gaussians} is rounded up to {count}: "
            "heads='conv' has the same number in each pooled cell"
        )

    def _gaussians(self, frame_shape: tuple[int, int, int]) -> int:
        """N, Gaussians a frame; pooled cells share them evenly where heads="conv"."""
        config, (height, width, _) = self.predgs, frame_shape
        if config.heads not in ("mlp", "conv"):
            return config.num_gaussians
        config.check_pool(height, width)
        cells = (height // config.pool) * (width // config.pool)
        share = cells if config.heads == "conv" else 1
        return math.ceil(config.num_gaussians / share) * share

    def build_loss(self, data_range: tuple[float, float]) -> losses.Loss:
        """The loss, for frames whose values lie in `data_range`."""
        return losses.create(self.loss, data_range=data_range, **self.loss_options)

    def build_sampling(self, steps_per_epoch: int) -> schedules.Sampling | None:
        """Which frames a recurrent backbone sees in training; None where it sees no future ones."""
        if self.sampling == "none":
            return None
        options = dict(self.sampling_options)
        if self.sampling == "teacher":
            options.setdefault("rate", TEACHER_RATE / steps_per_epoch)
        return schedules.create(self.sampling, **options)

    def sampling_note(self, steps: int, steps_per_epoch: int) -> str:
        """A warning if true future frames are still likely at the end of a run; else ""."""
        sampling = self.build_sampling(steps_per_epoch)
        if sampling is None or self.sampling == "teacher":
            return ""
        chance = jnp.asarray(sampling.chances(jnp.asarray(steps - 1)).future).item()
        if chance < 0.05:
            return ""
        return (
            f"sampling: at the last of {steps} steps a true future frame is still shown with "
            f"probability {chance:.2f}; sampling_options set another schedule"
        )

    def to_json(self) -> dict[str, Any]:
        """A dict of JSON types, with the loss's options in full; `from_json` is its inverse."""
        values = dataclasses.asdict(self)
        values["loss_options"] = {**_LOSS_OPTIONS.get(self.loss, {}), **self.loss_options}
        return {**values, "data_dir": str(self.data_dir) if self.data_dir else None}

    @classmethod
    def from_json(cls, values: Any) -> "Recipe":
        """The recipe that `to_json` wrote.

        Raises:
          TypeError: a field is missing, or a value has another type.
          ValueError: a field is unknown, or a value is out of range.
        """
        if not isinstance(values, Mapping):
            raise TypeError(f"recipe={values!r}: expected a JSON object of settings")
        values = dict(values)
        for name in ("loss_options", "data_options", "predgs"):
            if name not in values:
                raise fields.missing(name)
            if not isinstance(values[name], Mapping):
                raise TypeError(f"{name}={values[name]!r}: expected a JSON object of settings")
        if values.get("loss") == "l1_ssim":  # Runs from before `signed` keep their loss.
            values["loss_options"] = {"signed": False, **values["loss_options"]}
        if "layout" in values["data_options"]:  # its name in runs of version 0.2
            options = dict(values["data_options"])
            values["data_options"] = {"axes": options.pop("layout"), **options}
        adapter = dict(values["predgs"])
        if isinstance(adapter.get("scale_start"), list):
            adapter["scale_start"] = tuple(adapter["scale_start"])
        tracking = adapter.get("tracking", {})
        adapter["tracking"] = fields.from_json(TrackingConfig, tracking, "predgs.tracking.")
        values["predgs"] = fields.from_json(PredGSConfig, adapter, "predgs.")
        if isinstance(values.get("data_dir"), str):
            values["data_dir"] = Path(values["data_dir"]) if values["data_dir"] else None
        return fields.from_json(cls, values)


def _require(recipe: Recipe, name: str, valid: bool, expected: str) -> None:
    if not valid:
        raise ValueError(f"{name}={getattr(recipe, name)!r}: expected {expected}")


def _require_one_of(name: str, value: str, valid: Collection[str]) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{name}={value!r}: expected one of {', '.join(sorted(valid))}")
    if value not in valid:
        close = difflib.get_close_matches(value, sorted(valid), n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise ValueError(f"{name}={value!r}{hint}: expected one of {', '.join(sorted(valid))}")


_LOSS_OPTIONS = {
    "l1_ssim": {"weight": 0.5, "signed": True},
    "mse_ddr": {"alpha": 0.1},
    "mse_hffl": {"weight": 0.001},
}


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
      loss: by default L1 + SSIM (PDR's) with an adapter, and the backbone's own loss without.
      **overrides: fields of `Recipe`.

    Raises:
      ValueError: an unknown name or field, or a value out of range.
    """
    _require_one_of("dataset", dataset, BENCHMARKS)
    benchmark = BENCHMARKS[dataset]
    _require_one_of("backbone", backbone, backbones.names())
    _require_one_of("adapter", adapter, ADAPTERS)
    settings = benchmark.settings(backbone)
    preset = DEFAULT_ADAPTER if adapter in ("predgs", "none") else adapter
    with_adapter = adapter != "none"
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
        "loss_options": dict(_LOSS_OPTIONS.get(loss, {})),
        "optimizer": "adamw" if with_adapter else training.get("optimizer", "adam"),
        "weight_decay": 1e-2 if with_adapter else training.get("weight_decay", 0.0),
        "decay": "all" if preset == "paper" else "kernels",
        "learning_rate": settings.learning_rate,
        "schedule": benchmark.schedule,
        "warmup_epochs": benchmark.warmup_epochs,
        "epochs": benchmark.epochs,
        "sampling": training.get("sampling", "none"),
        "sampling_options": dict(training.get("sampling_options", {})),
        **settings.fields,
    }
    known = {field.name for field in dataclasses.fields(Recipe)}
    for name in overrides:
        _require_one_of("recipe field", name, known)
    return Recipe(**{**published, **overrides})


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
