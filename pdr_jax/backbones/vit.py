"""ViT: self-attention over all pixels, as in An Image is Worth 16x16 Words (ICLR 2021)."""

import functools

from pdr_jax.backbones.base import Card
from pdr_jax.backbones.layers.transformer_block import TransformerBlock
from pdr_jax.backbones.metaformer import Block
from pdr_jax.backbones.simvp_shell import SimVPShell

HEADS = 8


class ViT(SimVPShell):
    """SimVP's encoder and decoder with a Vision Transformer between them.

    There is no positional embedding: only the zeros around the encoder's frames tell positions.
    """

    card = Card(
        title="An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale",
        venue="ICLR 2021",
        link="https://arxiv.org/abs/2010.11929",
        source="OpenSTL c74deb5d, model_type ViT (timm 0.6.13's block)",
        faithful="There is no positional embedding. Stochastic depth starts at 0.01 in the first "
        "block even where drop_path is 0. The published KTH model has N_T = 4, the Human3.6M "
        "model N_T = 6.",
    )

    def make_blocks(self) -> list[Block]:
        """N_T transformer blocks."""
        return [
            functools.partial(
                TransformerBlock, HEADS, self.mlp_ratio, self.drop, rate, dtype=self.dtype
            )
            for rate in self.drop_path_rates()
        ]

    def check(self) -> None:
        """Refuses widths that the heads cannot share."""
        super().check()
        self.check_widths(HEADS, "the number of simvp_vit's heads")
