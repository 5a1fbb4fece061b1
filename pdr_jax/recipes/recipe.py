"""What a run is."""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import jax.numpy as jnp

from pallas_kernels.splat2d import api as splat2d
from pallas_kernels.ssim import api as ssim
from pdr_jax import backbones, fields, losses, predgs
from pdr_jax import sampling as schedules
from pdr_jax.backbones.base import FramePredictor
from pdr_jax.backbones.checks import FrameSizeError
from pdr_jax.diffusion import DiffusionConfig, ResidualDiffusion
from pdr_jax.pdr import PDR
from pdr_jax.predgs import PredGS, PredGSConfig, TrackingConfig

TEACHER_RATE = 0.003  # PhyDNet's P(true future frame) falls by this much in an epoch
_RENDERING = ("predgs", *predgs.PRESETS)
DIFFUSION = "diffusion"
ADAPTERS = ("none", *_RENDERING, DIFFUSION, *(f"{name}+{DIFFUSION}" for name in _RENDERING))
Protocol = Literal["standard", "openstl", "mcvd"]
LoggerName = Literal["tensorboard", "wandb"]
if TYPE_CHECKING:  # which knows no names from a table
    Renderer = str
    Ssim = str
else:
    Renderer = Literal[("auto", *splat2d.IMPLEMENTATIONS)]
    Ssim = Literal[("auto", *ssim.IMPLEMENTATIONS)]
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
# The options of losses that have any.
LOSS_OPTIONS = {
    "l1_ssim": {"weight": 0.5, "signed": True},
    "mse_ddr": {"alpha": 0.1},
    "mse_hffl": {"weight": 0.001},
}


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
        "predgs" is the default preset; or a preset by name. "diffusion" draws futures around the
        plain predictor's, and "tracked+diffusion" and the like around PDR's.
      predgs: the configuration of PredGS.
      diffusion: that of the diffusion, see `pdr_jax.diffusion`.
      fusion: "conv", "gate", "add" or "none", see `pdr_jax.pdr.PDR`.
      fusion_init: of "conv", "random" or "pass_through".
      gate_start: of "gate".
      dtype: compute type of the backbone and of the diffusion's U-Net; parameters, Gaussians and
        losses are float32.
      loss: "mse", "mse_ddr" (TAU's), "mse_l1" (E3D-LSTM's), "mse_hffl" (WaST's), "l1" or
        "l1_ssim" (PDR's).
      loss_options: options of the loss: "weight" (lambda) and "signed" of l1_ssim, see
        `pdr_jax.losses.ssim`; "weight" of mse_hffl; "alpha" of mse_ddr.
      renderer: what draws Gaussians, by its name in `pallas_kernels.splat2d`. "auto" takes the
        first that works on the device.
      ssim: what computes the loss's SSIM, by its name in `pallas_kernels.ssim`; "auto" likewise.
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
      protocol: "standard", or "openstl" or "mcvd" to compare with published figures; see
        `pdr_jax.evaluation.protocols`.
      holdout: share of the training clips, the last of them, that is held out to choose the best
        checkpoint; protocol "openstl" holds out none and chooses on the test set.
      augment: whether training clips are augmented as OpenSTL can; published runs were not.
      init_from: a run folder; training starts from its best parameters. "" draws new ones.
      seed: of parameters, data order and stochastic depth.
      save_every: steps between checkpoints; 0 is once an epoch.
      save_minutes: minutes after which a checkpoint is saved between those, unscored; 0 saves none.
      log_every: steps between lines of metrics.jsonl.
      log: where figures and pictures go besides metrics.jsonl: "tensorboard", "wandb" or both.
      devices: how many to train on; 0 takes all.
      shard_parameters: whether each device keeps only its part of large parameters, of their
        averages and of the optimiser's state; a step gathers the parameters.
      accumulate: micro-batches that a step's batch is taken in, one after the other, for less
        memory. Figures are those of the whole batch but for batch normalisation, which sees
        micro-batches, and the draws of dropout.
      remat: whether the blocks and time steps of the backbone, and the blocks of the diffusion's
        U-Net, are computed again for their gradient, for less memory.
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
    diffusion: DiffusionConfig = dataclasses.field(default_factory=DiffusionConfig)
    fusion: Literal["conv", "gate", "add", "none"] = "conv"
    fusion_init: Literal["random", "pass_through"] = "pass_through"
    gate_start: float = 0.1
    dtype: Literal["float32", "bfloat16"] = "float32"
    renderer: Renderer = "auto"
    ssim: Ssim = "auto"
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
    log: tuple[LoggerName, ...] = ()
    devices: int = 0
    shard_parameters: bool = False
    accumulate: int = 1
    remat: bool = False
    resident_mib: int = 0

    def __post_init__(self) -> None:
        fields.check_fields(self)
        positive = ("batch_size", "epochs", "log_every", "accumulate")
        fields.check_range(self, positive, 1)
        fields.check_range(self, _NOT_NEGATIVE, 0)
        fields.check_range(self, ("in_length", "out_length"), 1, fields.LARGEST_SIZE)
        _require(self, "resident_mib", not (self.resident_mib and self.augment), "0 with augment")
        _require(
            self,
            "accumulate",
            self.batch_size % self.accumulate == 0,
            f"a divisor of batch_size={self.batch_size}",
        )
        for name in ("learning_rate", "gate_start"):
            _require(self, name, getattr(self, name) > 0, "more than 0")
        _require(self, "holdout", 0 <= self.holdout < 1, "at least 0 and less than 1")
        _require(self, "ema_decay", 0 <= self.ema_decay < 1, "at least 0 and less than 1")
        fields.check_one_of("backbone", self.backbone, backbones.names())
        fields.check_options("backbone_options", self.backbone_options, fields.LARGEST_SIZE)
        known = backbones.hyperparameters(self.backbone).keys() - {"dtype"}  # a field of its own
        for name in self.backbone_options:
            fields.check_one_of("backbone_options", name, known)
        fields.check_one_of("adapter", self.adapter, ADAPTERS)
        _require(
            self,
            "init_from",
            bool(self.init_from) or not self.frozen,
            "a run, which diffusion.freeze keeps",
        )
        fields.check_one_of("loss", self.loss, losses.LOSSES)
        for name, origin in (("data_range", "that of the data"), ("implementation", "ssim")):
            if name in self.loss_options:
                raise ValueError(f"loss_options.{name}: expected none; it is {origin}")
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

    @property
    def renders(self) -> bool:
        """Whether the adapter has PredGS."""
        return self.adapter.partition("+")[0] in _RENDERING

    @property
    def samples(self) -> bool:
        """Whether the adapter has the diffusion."""
        return DIFFUSION in self.adapter.split("+")

    @property
    def frozen(self) -> bool:
        """Whether only the diffusion is trained."""
        return self.samples and self.diffusion.freeze

    def build(self, frame_shape: tuple[int, int, int]) -> PDR:
        """The model, for frames of (H, W, C)."""
        adapter = residual = None
        if self.samples:
            residual = ResidualDiffusion(self.diffusion, jnp.dtype(self.dtype), self.remat)
        if self.renders:
            count = self._gaussians(frame_shape)
            adapter = PredGS(dataclasses.replace(self.predgs, num_gaussians=count))
        try:
            backbone = backbones.create(
                self.backbone,
                in_shape=(self.in_length, *frame_shape),
                dtype=jnp.dtype(self.dtype),
                **self.backbone_options,
            ).clone(remat=self.remat)
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
            implementation=_named(self.renderer),
            residual=residual,
            frozen=self.frozen,
        )

    def gaussians_note(self, frame_shape: tuple[int, int, int]) -> str:
        """A remark if a frame of (H, W, C) gets more Gaussians than the recipe says; else ""."""
        count = self.predgs.num_gaussians
        if self.renders:
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

    def build_loss(self, data_range: tuple[float, float], *, missing: bool = False) -> losses.Loss:
        """The loss, for frames whose values lie in `data_range`, or are NaN where `missing`."""
        return losses.create(
            self.loss,
            data_range=data_range,
            implementation=_named(self.ssim),
            missing=missing,
            **self.loss_options,
        )

    def portable(self) -> "Recipe":
        """The recipe with "auto" for kernels that only GPUs have: a run opens on any machine."""
        renderer = "auto" if self.renderer in splat2d.ON_GPU else self.renderer
        similarity = "auto" if self.ssim in ssim.ON_GPU else self.ssim
        return dataclasses.replace(self, renderer=renderer, ssim=similarity)

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
        values["loss_options"] = {**LOSS_OPTIONS.get(self.loss, {}), **self.loss_options}
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
        values.pop("model_parallel", None)  # of version 0.2, which could split channels
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
        diffusion = values.get("diffusion", {})  # runs of version 0.2 have none
        if isinstance(diffusion, Mapping) and isinstance(diffusion.get("widths"), list):
            diffusion = {**diffusion, "widths": tuple(diffusion["widths"])}
        values["diffusion"] = fields.from_json(DiffusionConfig, diffusion, "diffusion.")
        if isinstance(values.get("log"), list):
            values["log"] = tuple(values["log"])
        if isinstance(values.get("data_dir"), str):
            values["data_dir"] = Path(values["data_dir"]) if values["data_dir"] else None
        return fields.from_json(cls, values)


def _named(implementation: str) -> str | None:
    return None if implementation == "auto" else implementation


def _require(recipe: Recipe, name: str, valid: bool, expected: str) -> None:
    if not valid:
        raise ValueError(f"{name}={getattr(recipe, name)!r}: expected {expected}")
