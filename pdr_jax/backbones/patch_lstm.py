"""The shell of SwinLSTM and VMRNN: LSTMs on grids of patches, made of vision models' blocks.

The "B" models have one cell; the "D" models have cells on coarser and coarser grids, and back.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array
from jax.typing import DTypeLike

from pdr_jax.backbones.base import FramePredictor
from pdr_jax.backbones.checks import at_least, divisible, fraction, integers
from pdr_jax.backbones.layers.linear import Linear
from pdr_jax.backbones.layers.patch_grid import (
    GROUPS,
    PatchEmbed,
    PatchExpand,
    PatchInflate,
    PatchMerge,
)

# block(name=) -> a module from (B, H, W, C) to the same shape, called with (x, train, joined):
# `joined` is a second input of this shape, or None.
Block = Callable[..., nn.Module]
# Hidden state and memory (B, h, w, C) of each cell.
PatchLSTMState = tuple[tuple[Array, Array], ...]


class Stage(NamedTuple):
    """A cell's place.

    Attributes:
      name: of the cell.
      level: counted from the finest grid, on the way down and on the way up.
      halvings: how often the cell's grid is halved and its channels are doubled.
      drop_path: stochastic depth of each of its blocks.
      resample: makes the layer after the cell, which changes the grid; None: there is none.
    """

    name: str
    level: int
    halvings: int
    drop_path: tuple[float, ...]
    resample: Callable[..., nn.Module] | None = None


def pyramid(
    down: Sequence[int], up: Sequence[int], drop_path: float, mirrored: bool = True
) -> tuple[Stage, ...]:
    """One cell a level on the way down, and one a level, on a grid half as fine, on the way up.

    Stochastic depth grows linearly from 0 in the first block to `drop_path` in the last on the
    way down, and falls alike on the way up.

    Args:
      down: blocks of the cells on the way down, by level.
      up: blocks of the cells on the way up, by level; the way up begins with the last.
      drop_path: largest stochastic depth.
      mirrored: whether it falls within a cell too on the way up, not only from cell to cell.
    """
    descent = [
        Stage(f"down_{level}", level, level, rates, PatchMerge)
        for level, rates in enumerate(_rising(down, drop_path))
    ]
    ascent = [
        Stage(
            f"up_{len(up) - 1 - level}",
            level,
            level + 1,
            rates[::-1] if mirrored else rates,
            PatchExpand,
        )
        for level, rates in enumerate(_rising(up, drop_path))
    ]
    return (*descent, *reversed(ascent))


def _rising(depths: Sequence[int], drop_path: float) -> list[tuple[float, ...]]:
    rates = np.linspace(0, drop_path, sum(depths)).tolist()
    ends = itertools.accumulate(depths)
    return [tuple(rates[end - depth : end]) for end, depth in zip(ends, depths, strict=True)]


class PatchLSTMCell(nn.Module):
    """A ConvLSTM with blocks in place of the convolution, and one gate in place of three.

    The first block joins the cell's input with the hidden state. From the last block's output o:
    c = sigmoid(o) (c + tanh o), h = sigmoid(o) tanh c.

    Attributes:
      blocks: what makes each block.
      recalls: whether blocks 2, 4, ... also see the cell's input.
      spare: whether blocks without a second input have the layer, unused, that would join it.
      dtype: compute dtype.
    """

    blocks: tuple[Block, ...]
    recalls: bool = False
    spare: bool = False
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(
        self, x: Array, state: tuple[Array, Array], train: bool
    ) -> tuple[Array, tuple[Array, Array]]:
        """The output for `x` (B, H, W, C), which is the hidden state; and that with the memory."""
        hidden, memory = state
        out = x
        for i, block in enumerate(self.blocks):
            joined = hidden if i == 0 else x if self.recalls and i % 2 == 0 else None
            out = block(name=f"block_{i}")(out, train, joined)
            if self.spare and joined is None:
                Linear(x.shape[-1], dtype=self.dtype, name=f"spare_{i}")(
                    jnp.concatenate([x, x], axis=-1)
                )
        gate = jax.nn.sigmoid(out)
        memory = gate * (memory + jnp.tanh(out))
        hidden = gate * jnp.tanh(memory)
        return hidden, (hidden, memory)


class PatchLSTM(FramePredictor):
    """Predicts the next frame; subclasses choose the cells and their blocks.

    The prediction is a sigmoid's, so frames must be scaled to (0, 1).

    Attributes:
      patch_size: side of the patches in pixels: 2, 4, 8, ...
      embed_dim: channels of the finest grid.
      drop_path_rate: largest stochastic depth.
      faithful: have the parameters that the original declares and never uses.
    """

    patch_size: int = 2
    embed_dim: int = 128
    drop_path_rate: float = 0.1
    faithful: bool = False

    recalls: ClassVar[bool] = False
    output_range = (0.0, 1.0)

    def stages(self) -> tuple[Stage, ...]:
        """The cells, in the order that a frame passes them."""
        raise NotImplementedError

    def make_blocks(self, stage: Stage) -> Sequence[Block]:
        """What makes each block of a cell, one for every rate of `stage.drop_path`."""
        raise NotImplementedError

    def grid(self, halvings: int) -> tuple[int, int]:
        """Rows and columns of a grid."""
        _, height, width, _ = self.in_shape
        cell = self.patch_size << halvings
        return height // cell, width // cell

    def check(self) -> None:
        """Raises ValueError or TypeError, naming the field, where a setting is impossible."""
        super().check()
        size = at_least("patch_size", self.patch_size, 2)
        if size & (size - 1):
            raise ValueError(f"patch_size = {size} must be a power of 2")
        at_least("embed_dim", self.embed_dim, 1)
        if size > 2:
            divisible("embed_dim", self.embed_dim, GROUPS, "norms where patch_size > 2")
        fraction("drop_path_rate", self.drop_path_rate)
        halvings = max(stage.halvings for stage in self.stages())
        why = f"patch_size = {size}, halved {halvings} times" if halvings else "patch_size"
        self.frames_divisible(size << halvings, why)

    def setup(self) -> None:
        """Refuses impossible settings; `step` makes the parts."""
        self.check()

    def start(self, frames: Array) -> PatchLSTMState:
        """Every cell at rest."""
        dtype = self.dtype or frames.dtype

        def rest(halvings: int) -> Array:
            shape = (frames.shape[0], *self.grid(halvings), self.embed_dim << halvings)
            return jnp.zeros(shape, dtype)

        return tuple((rest(stage.halvings), rest(stage.halvings)) for stage in self.stages())

    @nn.compact
    def step(
        self, state: PatchLSTMState, frame: Array, train: bool
    ) -> tuple[PatchLSTMState, Array]:
        """As the base says."""
        stages, following = self.stages(), []
        x = PatchEmbed(self.embed_dim, self.patch_size, self.dtype, name="embed")(frame)
        for stage, remembered in zip(stages, state, strict=True):
            cell = PatchLSTMCell(
                tuple(self.make_blocks(stage)),
                self.recalls,
                self.faithful,
                self.dtype,
                name=stage.name,
            )
            x, remembered = cell(x, remembered, train)
            following.append(remembered)
            if stage.resample is not None:
                x = stage.resample(self.dtype, name=f"{stage.name}_resample")(x)
        if self.faithful and len(stages) > 1:
            PatchEmbed(self.embed_dim, self.patch_size, self.dtype, name="spare_embed")(frame)
        inflate = PatchInflate(frame.shape[-1], self.patch_size, self.dtype, name="inflate")
        return tuple(following), jax.nn.sigmoid(inflate(x))


class OneCell(PatchLSTM):
    """The "B": a cell whose blocks all have the same stochastic depth.

    Attributes:
      depths: blocks of the cell.
    """

    depths: int = 12

    def stages(self) -> tuple[Stage, ...]:
        """The only cell."""
        return (Stage("cell", 0, 0, (self.drop_path_rate,) * self.depths),)

    def check(self) -> None:
        """Raises ValueError or TypeError, naming the field, where a setting is impossible."""
        at_least("depths", self.depths, 1)
        super().check()


class Pyramid(PatchLSTM):
    """The "D": cells on ever coarser grids and back, see `pyramid`.

    Attributes:
      depths_downsample: blocks of the cells on the way down, finest grid first.
      depths_upsample: blocks of the cells on the way up, the *last* cell first.
    """

    depths_downsample: tuple[int, ...] = (2, 6)
    depths_upsample: tuple[int, ...] = (6, 2)

    def stages(self) -> tuple[Stage, ...]:
        """Two cells for every level."""
        return pyramid(self.depths_downsample, self.depths_upsample, self.drop_path_rate)

    def check(self) -> None:
        """Raises ValueError or TypeError, naming the field, where a setting is impossible."""
        for field in ("depths_downsample", "depths_upsample"):
            integers(field, getattr(self, field), 1)
        if len(self.depths_upsample) != len(self.depths_downsample):
            raise ValueError(
                f"depths_upsample = {self.depths_upsample} must be as long as "
                f"depths_downsample = {self.depths_downsample}"
            )
        super().check()
