"""ConvLSTM: Convolutional LSTM Network (NIPS 2015)."""

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from pdr_jax.backbones.base import Card, State
from pdr_jax.backbones.checks import one_of
from pdr_jax.backbones.layers.gates import GatedCell, gated, remember
from pdr_jax.backbones.recurrent_shell import RELEASES, RecurrentShell


class ConvLSTMCell(GatedCell):
    """An LSTM with convolutions in place of matrix products.

    Attributes:
      faithful: as `ConvLSTM`.
      release: likewise.
    """

    faithful: bool = False
    release: str = RELEASES[0]

    @nn.compact
    def __call__(self, x: Array, hidden: Array, cell: Array) -> tuple[Array, Array]:
        """The new hidden and cell (B, H, W, features), after `x` (B, H, W, C)."""
        i_x, f_x, g_x, o_x = self.gates("x", 4, x)
        i_h, f_h, g_h, o_h = self.gates("h", 4, hidden)
        g = g_x + g_h
        cell, _ = remember(cell, i_x + i_h, f_x + f_h, g, forget_bias=0.0)
        hidden = gated(o_x + o_h, g if self.release == "v0.3" else cell)
        if self.faithful and self.is_initializing():  # for their weights alone
            self.gates("o", 1, jnp.concatenate([hidden, cell], axis=-1))
            self.last(hidden, cell)
        return hidden, cell


class ConvLSTM(RecurrentShell):
    """A stack of convolutional LSTMs.

    Attributes:
      faithful: have the weights that the public code declares and never uses.
      release: of OpenSTL. In "v0.3", which trained the model zoo, a cell's output is
        h = sigmoid(o) tanh(g) in place of sigmoid(o) tanh(c).
    """

    faithful: bool = False
    release: str = RELEASES[0]

    shares_memory = False

    card = Card(
        title="Convolutional LSTM Network: A Machine Learning Approach for Precipitation "
        "Nowcasting",
        venue="NIPS 2015",
        link="https://arxiv.org/abs/1506.04214",
        source="OpenSTL c74deb5d, method ConvLSTM",
        faithful="No peepholes, no biases, so no forget bias. OpenSTL v0.3, which trained the "
        "model zoo, has another cell, h = sigmoid(o) tanh(g): release='v0.3'.",
        corrected="Two convolutions in each cell that are never used, nearly a quarter of the "
        "published size, exist only with faithful=True.",
    )

    def check(self) -> None:
        """Raises ValueError or TypeError, naming the field, where a setting is impossible."""
        super().check()
        one_of("release", self.release, RELEASES)

    def make_cells(self) -> list[ConvLSTMCell]:
        """A cell for each layer."""
        settings = self.cell_settings() | {"faithful": self.faithful, "release": self.release}
        return [ConvLSTMCell(width, **settings) for width in self.num_hidden]

    def start(self, frames: Array) -> State:
        """(hidden, cell) of each layer, zero."""
        return tuple((self.zeros(frames, n), self.zeros(frames, n)) for n in self.num_hidden)

    def advance(self, state: State, x: Array, train: bool) -> tuple[State, Array]:
        """One step up the layers."""
        layers = []
        for layer, (hidden, cell) in zip(self.cells, state, strict=True):
            x, cell = layer(x, hidden, cell)
            layers.append((x, cell))
        return tuple(layers), x
