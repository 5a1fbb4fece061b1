"""SwinLSTM (ICCV 2023): an LSTM whose inside is Swin Transformer blocks."""

import functools

from pdr_jax.backbones.base import Card
from pdr_jax.backbones.checks import at_least, divisible, integers
from pdr_jax.backbones.layers.cuboids import Cuboid
from pdr_jax.backbones.layers.initializers import pytorch_default
from pdr_jax.backbones.layers.windows import SwinBlock, windowing
from pdr_jax.backbones.patch_lstm import Block, OneCell, PatchLSTM, Pyramid, Stage

_CARD = Card(
    title="SwinLSTM: Improving Spatiotemporal Prediction Accuracy using Swin Transformer and LSTM",
    venue="ICCV 2023",
    link="https://arxiv.org/abs/2308.09891",
    source="OpenSTL c74deb5d, methods SwinLSTM_B and SwinLSTM_D",
    faithful="The prediction is a sigmoid's: data must lie in [0, 1], which standardised "
    "temperatures do not. The hidden state is normalised with the input's norm. Blocks 2, 4, ... "
    "of a cell see its input again, as they would a hidden state.",
    corrected="Layers that the original declares and never uses exist only with faithful=True. "
    "Where one window spans a grid along one axis, windows are still shifted along the other; in "
    "the original, and with faithful=True, they are not. Where patch_size > 2 the original's "
    "prediction is smaller than a frame; here it is enlarged as VMRNN's.",
)


class SwinLSTM(PatchLSTM):
    """Cells of Swin blocks, whose windows are shifted in every second.

    Attributes:
      window_size: side of the windows, in patches.
      faithful: as `PatchLSTM`; also do not shift windows where one spans an axis of the grid.
    """

    window_size: int = 4

    recalls = True

    def heads(self, level: int) -> int:
        """Heads of the attention in a level's cells."""
        raise NotImplementedError

    def make_blocks(self, stage: Stage) -> list[Block]:
        """Swin blocks with the level's number of heads."""
        return [
            functools.partial(
                SwinBlock,
                self.heads(stage.level),
                self.windows(stage, number),
                drop_path=rate,
                initializer=pytorch_default,
                dtype=self.dtype,
            )
            for number, rate in enumerate(stage.drop_path)
        ]

    def windows(self, stage: Stage, number: int) -> Cuboid:
        """The windows of a cell's block, by the block's number."""
        grid, shifted = self.grid(stage.halvings), number % 2 == 1
        return windowing(*grid, self.window_size, shifted=shifted, faithful=self.faithful)

    def check(self) -> None:
        """Raises ValueError or TypeError, naming the field, where a setting is impossible."""
        super().check()
        at_least("window_size", self.window_size, 2)
        for stage in self.stages():
            heads = at_least("num_heads", self.heads(stage.level), 1)
            divisible("embed_dim", self.embed_dim << stage.halvings, heads, "num_heads")
            side, patch = self.windows(stage, 0).size[-1], self.patch_size << stage.halvings
            why = f"windows of {side}x{side} patches of {patch}x{patch} pixels"
            self.frames_divisible(side * patch, why)


class SwinLSTMB(SwinLSTM, OneCell):
    """One cell; the defaults are Human3.6M's.

    Attributes:
      num_heads: of the attention.
    """

    num_heads: int = 4

    card = _CARD

    def heads(self, level: int) -> int:
        """The same for every level: there is one cell."""
        del level
        return self.num_heads


class SwinLSTMD(SwinLSTM, Pyramid):
    """Cells on ever coarser grids and back; the defaults are Moving MNIST's.

    Attributes:
      num_heads: of the attention, on every level.
    """

    num_heads: tuple[int, ...] = (4, 8)

    card = _CARD

    def heads(self, level: int) -> int:
        """The heads of this level."""
        return self.num_heads[level]

    def check(self) -> None:
        """Raises ValueError or TypeError, naming the field, where a setting is impossible."""
        for field in ("num_heads", "depths_downsample"):
            integers(field, getattr(self, field), 1)
        if len(self.num_heads) != len(self.depths_downsample):
            raise ValueError(
                f"num_heads = {self.num_heads} must be as long as "
                f"depths_downsample = {self.depths_downsample}"
            )
        super().check()
