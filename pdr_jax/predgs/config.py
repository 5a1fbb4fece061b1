"""`PredGSConfig`: every choice of the adapter, and presets."""

import dataclasses
from typing import Literal

from pdr_jax.fields import LARGEST_SIZE, check_fields, check_range, create_preset


@dataclasses.dataclass(frozen=True)
class TrackingConfig:
    """The choices of heads="tracked" alone, see `pdr_jax.predgs.tracked`. Ours, not the paper's.

    Attributes:
      spacing: pixels between the Gaussians of an anchor frame; 1 is one Gaussian a pixel.
      anchors: observed frames that carry Gaussians, the last ones.
      sigma: standard deviation at rest, in units of `spacing`.
      search: radius of the block matching in pixels; 0 does without.
      patch: odd width of the blocks in pixels.
      speed: largest correction of the matched velocity, in pixels a frame.
      drift: largest departure from uniform motion, in pixels a frame; each frame has its own. 0
        leaves uniform motion.
      stretch: a standard deviation changes by a factor of at most exp(stretch); 0 keeps circles.
      weighting: weights lie in exp(-weighting) to exp(weighting); 0 weighs all alike.
      recolour: whether amplitudes can depart from those of the anchor frame.
      normalised: whether drawn weights are divided by their total, see
        `pallas_kernels.splat2d_normalized`; otherwise Gaussians add.

    Raises:
      ValueError: a value out of range.
    """

    spacing: int = 1
    anchors: int = 1
    sigma: float = 0.6
    search: int = 3
    patch: int = 5
    speed: float = 2.0
    drift: float = 0.5
    stretch: float = 0.4
    weighting: float = 2.0
    recolour: bool = True
    normalised: bool = True

    def __post_init__(self) -> None:
        check_fields(self, "predgs.tracking.")
        check_range(self, ("spacing", "patch"), 1, LARGEST_SIZE, "predgs.tracking.")
        check_range(self, ("anchors",), 1, 64, "predgs.tracking.")
        check_range(self, ("search",), 0, 64, "predgs.tracking.")  # compares (2 search + 1)^2 ways
        check_range(self, ("speed", "drift", "stretch", "weighting"), 0, prefix="predgs.tracking.")
        if self.patch % 2 == 0:
            raise ValueError(f"predgs.tracking.patch={self.patch}: expected an odd number")
        if not 0.3 <= self.sigma <= 0.8:
            raise ValueError(
                f"predgs.tracking.sigma={self.sigma}: expected 0.3 to 0.8 of the spacing; narrower "
                "Gaussians leave gaps, and wider ones cannot reproduce the frame at rest"
            )
        if self.weighting and not self.normalised:
            raise ValueError(
                f"predgs.tracking.weighting={self.weighting}: expected 0 with "
                "normalised=False, where a weight would only scale the amplitude"
            )


@dataclasses.dataclass(frozen=True)
class PredGSConfig:
    """Every choice of the adapter. The defaults are the paper's, or our reading of it.

    Attributes:
      num_gaussians: N, Gaussians a frame. With heads="conv" a multiple of the pooled cells, to
        which a recipe rounds it up. 0 with heads="tracked", where the spacing decides.
      window: K, odd; a Gaussian is drawn within K x K pixels, and its largest standard deviation
        is (K - 1) / 10 pixels (with heads="tracked" it is the tracking's).
      pool: D, the factor of the average pooling; it divides the frame's height and width, except
        with heads="tracked" or "adaptive".
      heads: "mlp" (the paper) sees the whole frame, flattened. "conv" has each pooled cell emit its
        own Gaussians from the 5 x 5 cells around it. "adaptive" places N Gaussians by a predicted
        density, see `pdr_jax.predgs.adaptive`. "tracked" moves Gaussians anchored to the last
        observed frame; of the fields below it reads `hidden`, `head_std` and `tracking` only.
      hidden: width of each head's hidden layer; with convolutions their channels.
      head_std: standard deviation of the heads' output kernels at the start. 0 is Flax's default,
        which draws noise at first if the input is of unit scale.
      standardize: whether pooled inputs are standardised by running statistics, cell by cell.
      position_init: the pattern from which positions start, see `pdr_jax.predgs.position_init`.
      position_reach: how far a position can move from its learned start, in units of the mean
        spacing of N Gaussians. 0 (the paper) lets it move over the whole frame.
      contrast: of heads="adaptive", which reads no field of positions: the predicted density lies
        between exp(-contrast) and exp(contrast), times a constant. 0 leaves a grid; at most 4.
      scale_start: the raw values of the two scales at the start, before the sigmoid. Choose unequal
        ones: rotation has no gradient while both scales are equal.
      min_sigma: smallest standard deviation in pixels.
      amplitude: "sigmoid" (the paper) or "linear" (signed).
      amplitude_start: the raw amplitude at the start, before the activation.
      tracking: the choices of heads="tracked".

    Raises:
      ValueError: a value out of range, or two that exclude each other.
    """

    num_gaussians: int = 400
    window: int = 51
    pool: int = 8
    heads: Literal["mlp", "conv", "adaptive", "tracked"] = "mlp"
    hidden: int = 128
    head_std: float = 0.0
    standardize: bool = False
    position_init: Literal["grid", "grid_edges", "harris", "brightest", "random", "none"] = (
        "grid_edges"
    )
    position_reach: float = 0.0
    contrast: float = 2.0
    scale_start: tuple[float, float] = (0.0, 0.0)
    min_sigma: float = 0.0
    amplitude: Literal["sigmoid", "linear"] = "sigmoid"
    amplitude_start: float = 0.0
    tracking: TrackingConfig = TrackingConfig()

    def __post_init__(self) -> None:
        check_fields(self, "predgs.")
        if self.heads == "tracked" and self.num_gaussians:
            raise ValueError(
                f"predgs.num_gaussians={self.num_gaussians}: expected 0 with heads='tracked', "
                "which has one Gaussian at each point of a grid; tracking.spacing sets the grid"
            )
        reach = 4 * self.tracking.spacing + 1
        if self.heads == "tracked" and self.window < reach:
            raise ValueError(
                f"predgs.window={self.window}: expected {reach} or more with tracking.spacing="
                f"{self.tracking.spacing}, or Gaussians are cut off where they still count"
            )
        if self.heads != "tracked":
            check_range(self, ("num_gaussians",), 1, prefix="predgs.")
        check_range(self, ("pool", "hidden"), 1, LARGEST_SIZE, "predgs.")
        check_range(self, ("window",), 3, LARGEST_SIZE, "predgs.")
        numbers = ("num_gaussians", "head_std", "position_reach", "contrast", "min_sigma")
        check_range(self, numbers, 0, prefix="predgs.")
        if self.window % 2 == 0:
            raise ValueError(f"predgs.window={self.window}: expected an odd number of pixels")
        if self.contrast > 4:
            raise ValueError(
                f"predgs.contrast={self.contrast}: expected 4 or less; the sums over sparse "
                "cells are lost in float32 beyond"
            )
        largest = (self.window - 1) / 10
        if self.min_sigma >= largest:
            raise ValueError(
                f"predgs.min_sigma={self.min_sigma}: expected less than the largest standard "
                f"deviation, {largest} pixels for window={self.window}"
            )
        if self.heads == "conv" and self.position_init not in ("grid", "grid_edges"):
            raise ValueError(
                f"predgs.position_init={self.position_init!r}: expected 'grid' or 'grid_edges' "
                "with heads='conv', which ties each Gaussian to a cell"
            )

    def check_pool(self, height: int, width: int) -> None:
        """Raises ValueError unless `pool` divides a frame's height and width in pixels."""
        if height % self.pool or width % self.pool:
            raise ValueError(
                f"predgs.pool={self.pool}: expected a divisor of the frame's height {height} "
                f"and width {width}"
            )


_ROBUST = {
    "head_std": 0.005,
    "standardize": True,
    "position_init": "grid",
    "scale_start": (0.3, -0.3),
    "min_sigma": 0.3,
    "amplitude": "linear",
    "amplitude_start": 0.05,
}
PRESETS: dict[str, dict] = {
    "paper": {},
    "robust": _ROBUST,
    "robust_offset": {**_ROBUST, "position_reach": 1.0},
    "conv": {**_ROBUST, "heads": "conv", "hidden": 32, "position_reach": 1.0},
    "adaptive": {**_ROBUST, "heads": "adaptive", "hidden": 32, "pool": 2},
    "tracked": {
        "heads": "tracked",
        "num_gaussians": 0,
        "window": 5,
        "pool": 2,
        "hidden": 24,
        "head_std": 0.01,
    },
}
"""What each preset changes in the defaults of `PredGSConfig`."""


def create(preset: str, **overrides: object) -> PredGSConfig:
    """The configuration of a preset (a key of `PRESETS`) with some fields overridden.

    Raises:
      ValueError: an unknown preset or field, or a value out of range.
    """
    return create_preset(PredGSConfig, PRESETS, preset, overrides)
