"""The spatiotemporal LSTM, PredRNN's cell."""

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from pdr_jax.backbones.layers.gates import GatedCell, gated, remember


class SpatioTemporalLSTM(GatedCell):
    """An LSTM with two memories: one of its own, and one that goes through all layers.

    Its own memory moves only in time. The other memory rises through the layers, and goes from the
    top layer to the bottom layer of the next step.
    """

    @nn.compact
    def __call__(
        self, x: Array, hidden: Array, cell: Array, memory: Array
    ) -> tuple[Array, Array, Array, tuple[Array, Array]]:
        """One step.

        Args:
          x: (B, H, W, C), from the layer below.
          hidden: (B, H, W, features), the last step's output.
          cell: likewise, the memory of its own.
          memory: likewise, the one from the layer below.

        Returns:
          The new hidden, cell and memory; and what was written to the cell and to the memory.
        """
        i_x, f_x, g_x, i_xm, f_xm, g_xm, o_x = self.gates("x", 7, x)
        i_h, f_h, g_h, o_h = self.gates("h", 4, hidden)
        i_m, f_m, g_m = self.gates("m", 3, memory)
        cell, to_cell = remember(cell, i_x + i_h, f_x + f_h, g_x + g_h)
        memory, to_memory = remember(memory, i_xm + i_m, f_xm + f_m, g_xm + g_m)
        (o_m,) = self.gates("o", 1, jnp.concatenate([cell, memory], axis=-1))
        hidden = gated(o_x + o_h + o_m, self.last(cell, memory))
        return hidden, cell, memory, (to_cell, to_memory)
