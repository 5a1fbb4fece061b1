"""MIM: Memory in Memory (CVPR 2019)."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import struct
from jax import Array, lax

from pdr_jax.backbones.base import Card, State
from pdr_jax.backbones.layers.gates import GatedCell, gated, remember
from pdr_jax.backbones.layers.st_lstm import SpatioTemporalLSTM
from pdr_jax.backbones.recurrent_shell import RecurrentShell


class MIMState(struct.PyTreeNode):
    """What MIM carries from frame to frame; maps (B, H / p, W / p, width).

    Attributes:
      layers: (hidden, cell) of each layer.
      memory: the one that goes through all layers.
      differences: (hidden, cell) of each MIM-N, one fewer than layers.
      stationary: the cell of each MIM-S, likewise.
      began: (B,) bool, whether a frame was seen before: a difference needs two.
    """

    layers: tuple[tuple[Array, Array], ...]
    memory: Array
    differences: tuple[tuple[Array, Array], ...]
    stationary: tuple[Array, ...]
    began: Array


class PeepholeLSTM(GatedCell):
    """A convolutional LSTM whose gates also see its cell, by a weight for each value.

    Attributes:
      spare: have the convolution that the public MIM-N declares and never uses.
    """

    spare: bool = False

    @nn.compact
    def __call__(self, x: Array, hidden: Array, cell: Array) -> tuple[Array, Array]:
        """The new hidden and cell (B, H, W, features), after `x` (B, H, W, C)."""
        i_h, g_h, f_h, o_h = self.gates("h", 4, hidden)
        i_x, g_x, f_x, o_x = self.gates("x", 4, x)
        i_c, f_c = jnp.split(self._weight("ct_weight", cell, 2), 2, axis=-1)
        cell, _ = remember(cell, i_h + i_x + i_c * cell, f_h + f_x + f_c * cell, g_h + g_x)
        hidden = gated(o_h + o_x + self._weight("oc_weight", cell, 1) * cell, cell)
        if self.spare and self.is_initializing():
            self.last(hidden, cell)
        return hidden, cell

    def _weight(self, name: str, cell: Array, count: int) -> Array:
        shape = (*cell.shape[1:-1], count * self.features)
        return self.param(name, nn.initializers.zeros, shape)[None].astype(cell.dtype)


class MIMBlock(GatedCell):
    """A spatiotemporal LSTM with a recurrent cell, MIM-S, in place of the forget gate.

    Attributes:
      faithful: as `MIM`.
    """

    faithful: bool = False

    @nn.compact
    def __call__(
        self,
        x: Array,
        difference: Array,
        hidden: Array,
        cell: Array,
        memory: Array,
        stationary: Array,
    ) -> tuple[Array, Array, Array, Array]:
        """One step.

        Args:
          x: (B, H, W, features), from the layer below.
          difference: likewise, what MIM-N made of the layer below's change.
          hidden: likewise, the last step's output.
          cell: likewise, the memory of its own.
          memory: likewise, the one from the layer below.
          stationary: likewise, the cell of MIM-S.

        Returns:
          The new hidden, cell, memory and cell of MIM-S.
        """
        i_t, g_t, o_t = self.gates("t", 3, hidden)
        i_s, g_s, f_s, o_s = self.gates("s", 4, memory)
        i_x, g_x, f_x, o_x = self.gates("x", 4, x)
        memory, _ = remember(memory, i_x + i_s, f_x + f_s, g_x + g_s)
        if self.faithful:
            stationary = lax.stop_gradient(stationary)
        mim_s = PeepholeLSTM(
            self.features, self.kernel_size, self.layer_norm, self.dtype, name="mim_s"
        )
        kept, stationary = mim_s(difference, cell, stationary)
        cell = kept + gated(i_x + i_t, g_x + g_t)
        hidden = gated(o_x + o_t + o_s, self.last(cell, memory))
        return hidden, cell, memory, stationary


class MIM(RecurrentShell):
    """A spatiotemporal LSTM, and above it blocks that learn from how the layer below changes.

    Attributes:
      faithful: train as the public code does: no gradient through time in MIM-S's cell; and have
        the weights that it declares and never uses.
    """

    faithful: bool = False

    card = Card(
        title="Memory In Memory: A Predictive Neural Network for Learning Higher-Order "
        "Non-Stationarity from Spatiotemporal Dynamics",
        venue="CVPR 2019",
        link="https://arxiv.org/abs/1811.07490",
        source="OpenSTL c74deb5d, method MIM",
        faithful="No biases but the forget gates' constant 1.",
        corrected="MIM-S's cell starts from zero and is learned through time. In the public code "
        "it is never reset, so a prediction depends on earlier batches, and gradients stop at it. "
        "faithful=True stops the gradients; to continue from an earlier batch, carry the state's "
        "`stationary` over. A convolution in each MIM-N that is never used exists only with "
        "faithful=True.",
    )

    def make_cells(self) -> list[nn.Module]:
        """A cell for each layer."""
        settings = self.cell_settings()
        first, *others = self.num_hidden
        blocks = [MIMBlock(width, **settings, faithful=self.faithful) for width in others]
        return [SpatioTemporalLSTM(first, **settings), *blocks]

    def setup(self) -> None:
        """Adds a MIM-N below each block."""
        super().setup()
        settings = self.cell_settings() | {"spare": self.faithful}
        self.changes = [PeepholeLSTM(width, **settings) for width in self.num_hidden[1:]]

    def start(self, frames: Array) -> MIMState:
        """All zero."""
        zero = self.zeros(frames, self.num_hidden[0])
        blocks = len(self.num_hidden) - 1
        return MIMState(
            layers=((zero, zero),) * (blocks + 1),
            memory=zero,
            differences=((zero, zero),) * blocks,
            stationary=(zero,) * blocks,
            began=jnp.zeros(frames.shape[0], bool),
        )

    def advance(self, state: MIMState, x: Array, train: bool) -> tuple[State, Array]:
        """One step up the layers."""
        before, cell = state.layers[0]
        hidden, cell, memory, _ = self.cells[0](x, before, cell, state.memory)
        layers, differences, stationary = [(hidden, cell)], [], []
        difference = hidden - before
        began = state.began.reshape(-1, 1, 1, 1)
        for i, (change, block) in enumerate(zip(self.changes, self.cells[1:], strict=True)):
            old = state.differences[i]
            new = change(difference, *old)
            new = jax.tree.map(lambda new, old: jnp.where(began, new, old), new, old)
            differences.append(new)
            difference = new[0]
            hidden, cell, memory, inner = block(
                hidden, difference, *state.layers[i + 1], memory, state.stationary[i]
            )
            layers.append((hidden, cell))
            stationary.append(inner)
        following = MIMState(
            layers=tuple(layers),
            memory=memory,
            differences=tuple(differences),
            stationary=tuple(stationary),
            began=jnp.ones_like(state.began),
        )
        return following, hidden
