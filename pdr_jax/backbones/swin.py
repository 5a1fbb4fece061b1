"""Swin Transformer (ICCV 2021): self-attention within windows, shifted in every second block."""

import functools

from pdr_jax.backbones.base import Card
from pdr_jax.backbones.layers.cuboids import Cuboid
from pdr_jax.backbones.layers.windows import SwinBlock, windowing
from pdr_jax.backbones.metaformer import Block
from pdr_jax.backbones.simvp_shell import SimVPShell

HEADS = 8


def window_side(height: int) -> int:
    """Side of the windows in a grid of this height: 7 or between 4 and 8, as in OpenSTL."""
    return 7 if height % 7 == 0 else min(max(4, height // 16), 8)


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
        "along one axis, windows are still shifted along the other; in OpenSTL they are not, and "
        "never see each other. faithful=True brings both back.",
    )

    def make_blocks(self) -> list[Block]:
        """N_T Swin blocks."""
        return [
            functools.partial(
                SwinBlock,
                HEADS,
                self.windows(number),
                masked=not self.faithful,
                mlp_ratio=self.mlp_ratio,
                drop=self.drop,
                drop_path=rate,
                dtype=self.dtype,
            )
            for number, rate in enumerate(self.drop_path_rates())
        ]

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
        why = f"simvp_swin's {side}x{side} windows at 1/{scale} of the resolution; change N_S"
        self.frames_divisible(side * scale, why)
