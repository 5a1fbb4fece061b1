"""VMRNN (CVPR 2024 workshops): an LSTM whose inside is Vision Mamba's selective scans."""

import functools

import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jax.typing import DTypeLike

from pdr_jax.backbones.base import Card
from pdr_jax.backbones.checks import fraction
from pdr_jax.backbones.layers.dropout import stochastic_depth
from pdr_jax.backbones.layers.linear import Linear
from pdr_jax.backbones.layers.norm import layer_norm
from pdr_jax.backbones.layers.selective_scan import SelectiveScan2D
from pdr_jax.backbones.patch_lstm import Block, OneCell, PatchLSTM, Pyramid, Stage, pyramid

_CARD = Card(
    title="VMRNN: Integrating Vision Mamba and LSTM for Efficient and Accurate Spatiotemporal "
    "Forecasting",
    venue="CVPR 2024 workshops",
    link="https://arxiv.org/abs/2403.16536",
    source="VMRNN-PyTorch 8e6cfb7",
    faithful="The prediction is a sigmoid's: data must lie in [0, 1], which standardised "
    "temperatures do not. The hidden state is normalised with the input's norm.",
    corrected="Layers that the original declares and never uses exist only with faithful=True.",
)


class VSSBlock(nn.Module):
    """x + SelectiveScan2D(LN x), with drop path; a second input is joined with x after the norm.

    Attributes:
      drop: dropout after the scan.
      drop_path: stochastic depth.
      dtype: compute dtype.
    """

    drop: float = 0.0
    drop_path: float = 0.0
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array, train: bool, joined: Array | None = None) -> Array:
        """Transforms `x` (B, H, W, C), and `joined` of that shape, to one of that shape."""
        norm = layer_norm(dtype=self.dtype, name="norm")
        y = norm(x)
        if joined is not None:
            y = jnp.concatenate([y, norm(joined)], axis=-1)
            y = Linear(x.shape[-1], dtype=self.dtype, name="reduce")(y)
        y = SelectiveScan2D(drop=self.drop, dtype=self.dtype, name="scan")(y, train)
        return x + stochastic_depth(self.drop_path, train)(y)


class VMRNN(PatchLSTM):
    """Cells of VSS blocks.

    Attributes:
      attn_drop_rate: dropout after the blocks' scans.
    """

    attn_drop_rate: float = 0.0

    def make_blocks(self, stage: Stage) -> list[Block]:
        """VSS blocks."""
        return [
            functools.partial(VSSBlock, self.attn_drop_rate, rate, self.dtype)
            for rate in stage.drop_path
        ]

    def check(self) -> None:
        """Raises ValueError or TypeError, naming the field, where a setting is impossible."""
        super().check()
        fraction("attn_drop_rate", self.attn_drop_rate)


class VMRNNB(VMRNN, OneCell):
    """One cell; the defaults are TaxiBJ's. KTH's are patch_size = 2 and depths = 6."""

    patch_size: int = 4

    card = _CARD


class VMRNND(VMRNN, Pyramid):
    """Cells on ever coarser grids and back; the defaults are Moving MNIST's."""

    card = _CARD._replace(
        corrected=f"{_CARD.corrected} Stochastic depth falls from block to block on the way up, as "
        "SwinLSTM has it; the original's rises within a cell: faithful=True, in training."
    )

    def stages(self) -> tuple[Stage, ...]:
        """Two cells for every level."""
        return pyramid(
            self.depths_downsample,
            self.depths_upsample,
            self.drop_path_rate,
            mirrored=not self.faithful,
        )
