"""Swin Transformer (ICCV 2021): self-attention within windows, shifted in every second block."""

import functools
from collections.abc import Sequence
from typing import Any

from pdr_jax.backbones.base import Card
from pdr_jax.backbones.layers.cuboids import Cuboid
from pdr_jax.backbones.layers.windows import SwinBlock, windowing
from pdr_jax.backbones.metaformer import MetaFormer, Place
from pdr_jax.backbones.simvp_shell import SimVPShell

HEADS = 8


def window_side(height: int) -> int:
    """Side of the windows in a grid of this height: 7 or between 4 and 8, as in OpenSTL."""
    return 7 if height % 7 == 0 else min(max(4, height // 16), 8)


def swin_block(
    place: Place, *, windows: Sequence[Cuboid], masked: bool, **settings: Any
) -> SwinBlock:
    """Swin Transformer's block, with its own of the blocks' windows."""
    return SwinBlock(HEADS, windows[place.number], masked=masked, **settings)


class Swin(SimVPShell):
    """SimVP's encoder and decoder with a Swin Transformer between them.

    Attributes:
      faithful: as in OpenSTL, do not mask the attention in shifted windows: pixels from opposite
        borders of the frame, which the cyclic shift brings together, see each other; and do not
        shift windows at all where one spans an axis of the latent frame.
    """

    faithful: bool = False

    card = Card(
        title="Swin Transformer: Hierarchical Vision Transformer using Shifted Windows",
        venue="ICCV 2021",
        link="https://arxiv.org/abs/2103.14030",
        source="OpenSTL c74deb5d, model_type Swin (timm 0.6.13's block)",
        faithful="The windows' side follows from the height of the latent frame alone, and must "
        "divide height and width. Stochastic depth starts at 0.01 in the first block even where "
        "drop_path is 0.",
        corrected="Pixels from opposite borders do not see each other in shifted windows: OpenSTL "
        "makes the mask for this and does not apply it. Where one window spans the latent frame "
        "along one axis, windows are still shifted along the other; there they are not, and never "
        "see each other. faithful=True brings both back.",
    )

    def make_translator(self) -> MetaFormer:
        """N_T Swin blocks."""
        windows = tuple(self.windows(number) for number in range(self.N_T))
        block = functools.partial(swin_block, windows=windows, masked=not self.faithful)
        return self.metaformer(block)

    def grid(self) -> tuple[int, int]:
        """Height and width of the latent frames."""
        _, height, width, _ = self.in_shape
        scale = 2 ** (self.N_S // 2)
        return height // scale, width // scale

    def windows(self, block: int) -> Cuboid:
        """The windows of a block, by its number."""
        height, width = self.grid()
        shifted = block % 2 == 1
        return windowing(
            height, width, window_side(height), shifted=shifted, faithful=self.faithful
        )

    def check(self) -> None:
        """Refuses widths that the heads cannot share, and frames that windows do not tile."""
        super().check()
        self.check_widths(HEADS, "the number of simvp_swin's heads")
        scale, side = 2 ** (self.N_S // 2), self.windows(0).size[-1]
        why = (
            f"simvp_swin's windows have {side}x{side} pixels at 1/{scale} of the resolution; "
            "crop or pad the frames, or change N_S"
        )
        self.frames_divisible(side * scale, why)
