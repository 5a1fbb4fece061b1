"""Swin Transformer (ICCV 2021): self-attention within windows, shifted in every second block."""

import functools
from typing import Any

from pdr_jax.backbones.base import Card, divisible
from pdr_jax.backbones.layers.windows import SwinBlock, Windowing, windowing
from pdr_jax.backbones.metaformer import MetaFormer, Place
from pdr_jax.backbones.simvp_shell import SimVPShell

HEADS = 8


def window_side(height: int) -> int:
    """Side of the windows in a grid of this height: 7 or between 4 and 8, as in OpenSTL."""
    return 7 if height % 7 == 0 else min(max(4, height // 16), 8)


def is_shifted(block: int) -> bool:
    """Whether the windows of a block, by its number, are shifted."""
    return block % 2 == 1


def swin_block(place: Place, *, window: int, masked: bool, **settings: Any) -> SwinBlock:
    """Swin Transformer's block."""
    return SwinBlock(HEADS, window, shifted=is_shifted(place.number), masked=masked, **settings)


class Swin(SimVPShell):
    """SimVP's encoder and decoder with a Swin Transformer between them.

    Attributes:
      faithful: whether the attention in shifted windows is not masked, as in OpenSTL: pixels from
        opposite borders of the frame, which the cyclic shift brings together, see each other.
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
        "makes the mask for this and does not apply it. faithful=True does not either.",
    )

    def make_translator(self) -> MetaFormer:
        """N_T Swin blocks."""
        height, _ = self.grid()
        block = functools.partial(swin_block, window=window_side(height), masked=not self.faithful)
        return self.metaformer(block)

    def grid(self) -> tuple[int, int]:
        """Height and width of the latent frames."""
        _, height, width, _ = self.in_shape
        scale = 2 ** (self.N_S // 2)
        return height // scale, width // scale

    def windows(self, block: int) -> Windowing:
        """The windows of a block, by its number."""
        height, width = self.grid()
        return windowing(height, width, window_side(height), is_shifted(block))

    def check(self) -> None:
        """Refuses widths that the heads cannot share, and frames that windows do not tile."""
        super().check()
        self.check_widths(HEADS, "the number of simvp_swin's heads")
        scale, side = 2 ** (self.N_S // 2), self.windows(0).side
        why = (
            f"simvp_swin's windows have {side}x{side} pixels at 1/{scale} of the resolution; "
            "crop or pad the frames, or change N_S"
        )
        for axis, size in zip("HW", self.in_shape[1:3], strict=True):
            divisible(f"in_shape's {axis}", size, side * scale, why)
