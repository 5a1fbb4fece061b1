"""The parts of a benchmark, and helpers that write its table of backbones."""

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any, Literal, NamedTuple


class Settings(NamedTuple):
    """How a backbone is trained on a benchmark.

    Attributes:
      learning_rate: the schedule's peak.
      options: hyperparameters of the backbone that are not at its defaults.
      fields: fields of the recipe that replace the benchmark's for this backbone.
    """

    learning_rate: float
    options: Mapping[str, Any] = {}
    fields: Mapping[str, Any] = {}


# For a backbone that nobody has published on a benchmark.
UNPUBLISHED = Settings(learning_rate=1e-3)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Benchmark:
    """The lengths and sizes of a data set, and how models are trained on it.

    Attributes:
      in_length: observed frames, T.
      out_length: frames to predict, T'.
      frame_shape: (H, W, C) in pixels.
      pool: the downsampling D of PredGS (PDR paper, table of settings).
      num_gaussians: N of the same table.
      window: K of the same table, in pixels.
      epochs: passes over the training clips.
      schedule: the learning rate's schedule.
      warmup_epochs: epochs of linear warm-up, for "cosine".
      data_options: options of the data set's loader.
      backbones: settings of each backbone that was published on it.
      mcvd: fields of a recipe that protocol "mcvd" sets.
    """

    in_length: int
    out_length: int
    frame_shape: tuple[int, int, int]
    pool: int
    num_gaussians: int
    window: int
    epochs: int
    schedule: Literal["onecycle", "cosine"]
    warmup_epochs: int = 0
    data_options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    backbones: Mapping[str, Settings]
    mcvd: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def settings(self, backbone: str) -> Settings:
        """The settings of a backbone; `UNPUBLISHED` where there are none."""
        return self.backbones.get(backbone, UNPUBLISHED)


METAFORMERS = (
    "simvp_convmixer",
    "simvp_convnext",
    "simvp_gsta",
    "simvp_hornet",
    "simvp_incepu",
    "simvp_mlp",
    "simvp_moga",
    "simvp_poolformer",
    "simvp_swin",
    "simvp_uniformer",
    "simvp_van",
    "simvp_vit",
)

Options = Mapping[str, Mapping[str, Any]]
NOTHING: Mapping[str, Any] = {}


def metaformers(
    *, sizes: Mapping[str, Any], rates: Mapping[str, float] = NOTHING, options: Options = NOTHING
) -> dict[str, Settings]:
    """Settings of TAU and of every MetaFormer in SimVP's shell.

    Args:
      sizes: hyperparameters that all of them share.
      rates: learning rates by name ("gsta" for "simvp_gsta"); 1e-3 where none is given.
      options: hyperparameters of single backbones that replace `sizes`, by name.
    """
    names = {name.removeprefix("simvp_"): name for name in ("tau", *METAFORMERS)}
    _refuse_unknown({*rates, *options}, names)
    return {
        name: Settings(rates.get(short, 1e-3), {**sizes, **options.get(short, {})})
        for short, name in names.items()
    }


def recurrent(
    *,
    rates: Mapping[str, float],
    patch_size: int,
    patch_sizes: Mapping[str, int] = NOTHING,
    options: Options = NOTHING,
) -> dict[str, Settings]:
    """Settings of the recurrent predictors.

    Args:
      rates: learning rates by name; predictors without one get no settings.
      patch_size: side of the patches that frames are cut into, in pixels; MAU's is always 1.
      patch_sizes: patch sizes that differ from `patch_size`, by name.
      options: further hyperparameters, by name.
    """
    patches = {**dict.fromkeys(rates, patch_size), "mau": 1, **patch_sizes}
    _refuse_unknown({*patch_sizes, *options}, rates)
    return {
        name: Settings(rate, {"patch_size": patches[name], **options.get(name, {})})
        for name, rate in rates.items()
    }


def _refuse_unknown(given: Collection[str], known: Collection[str]) -> None:
    if unknown := set(given) - set(known):
        raise ValueError(f"no such backbones here: {', '.join(sorted(unknown))}")
