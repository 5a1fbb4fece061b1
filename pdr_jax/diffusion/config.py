"""`DiffusionConfig`: every choice of the residual diffusion, and presets."""

import dataclasses
from typing import Literal

from pdr_jax.fields import LARGEST_SIZE, check_fields, check_range, create_preset

GROUPS = 8
"""Groups of channels that are normalised together; it divides every width."""


@dataclasses.dataclass(frozen=True)
class DiffusionConfig:
    """Every choice of the residual diffusion. The defaults learn on a CPU at 32x32 pixels.

    Attributes:
      widths: channels at each level of the U-Net, multiples of 8; a level has half the resolution
        of the one before.
      patch: side in pixels of the squares that are one position of the first level. 2 is four times
        cheaper than 1.
      blocks: residual blocks at each level, on the way down and again on the way up.
      predicts: what the network predicts: "v" = alpha noise - sigma residual, or "eps", the noise;
        see `pdr_jax.diffusion.schedule`.
      steps: of DDIM, each one pass of the network. Sampling alone uses it.
      clip: largest residual that sampling takes from the network, in standard deviations; 0 clips
        none.
      momentum: weight of the newest batch in the running estimate of the residual's scale.
      weight: of the denoising loss, which is 1 for a network that predicts 0.
      end_to_end: whether the denoising loss also trains the deterministic predictor, as in the
        paper. Otherwise that learns what it would learn alone.
      freeze: whether the deterministic predictor is kept as it is in the run that training starts
        from.

    Raises:
      ValueError: a value out of range, or two that exclude each other.
    """

    widths: tuple[int, ...] = (32, 64, 128)
    patch: int = 2
    blocks: int = 1
    predicts: Literal["v", "eps"] = "v"
    steps: int = 20
    clip: float = 10.0
    momentum: float = 0.05
    weight: float = 1.0
    end_to_end: bool = False
    freeze: bool = False

    def __post_init__(self) -> None:
        check_fields(self, "diffusion.")
        if not self.widths or any(not 0 < w <= LARGEST_SIZE or w % GROUPS for w in self.widths):
            raise ValueError(
                f"diffusion.widths={self.widths}: expected one or more multiples of {GROUPS}, "
                f"at most {LARGEST_SIZE}"
            )
        if len(self.widths) > 10:
            raise ValueError(f"diffusion.widths={self.widths}: expected at most 10 levels")
        check_range(self, ("patch", "blocks"), 1, 64, "diffusion.")
        check_range(self, ("steps",), 1, 1000, "diffusion.")
        check_range(self, ("clip", "weight"), 0, prefix="diffusion.")
        if not 0 < self.momentum <= 1:
            raise ValueError(
                f"diffusion.momentum={self.momentum}: expected more than 0, and at most 1"
            )
        if self.freeze and self.end_to_end:
            raise ValueError(
                "diffusion.freeze=True: expected False with end_to_end, which trains the "
                "deterministic predictor"
            )


PRESETS: dict[str, dict] = {
    "small": {},
    "paper": {
        "widths": (64, 128, 256, 512),
        "patch": 1,
        "blocks": 2,
        "predicts": "eps",
        "steps": 250,
        "end_to_end": True,
    },
}
"""What each preset changes in the defaults of `DiffusionConfig`; "paper" is for GPUs."""


def create(preset: str, **overrides: object) -> DiffusionConfig:
    """The configuration of a preset (a key of `PRESETS`) with some fields overridden.

    Raises:
      ValueError: an unknown preset or field, or a value out of range.
    """
    return create_preset(DiffusionConfig, PRESETS, preset, overrides)
