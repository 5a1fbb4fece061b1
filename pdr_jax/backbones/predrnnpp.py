"""PredRNN++: Towards a Resolution of the Deep-in-Time Dilemma (ICML 2018)."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jax.nn.initializers import Initializer, zeros

from pdr_jax.backbones.base import Card, State
from pdr_jax.backbones.checks import at_least, one_of
from pdr_jax.backbones.layers.gates import GatedCell, remember
from pdr_jax.backbones.layers.initializers import uniform
from pdr_jax.backbones.recurrent_shell import RELEASES, RecurrentShell


def nearly_zero(fan_in: int, fan_out: int) -> tuple[Initializer, Initializer]:
    """The gradient highway's initial values: kernel uniform within 0.001, bias 0."""
    del fan_in, fan_out
    return uniform(0.001), zeros


class CausalLSTM(GatedCell):
    """An LSTM with two memories one after the other: what the first holds gates the second.

    Attributes:
      faithful: as `PredRNNpp`.
      release: likewise.
    """

    faithful: bool = False
    release: str = RELEASES[0]

    @nn.compact
    def __call__(
        self, x: Array, hidden: Array, cell: Array, memory: Array
    ) -> tuple[Array, Array, Array]:
        """One step.

        Args:
          x: (B, H, W, C), from the layer below.
          hidden: (B, H, W, features), the last step's output.
          cell: likewise, the memory of its own.
          memory: likewise, the one from the layer below.

        Returns:
          The new hidden, cell and memory.
        """
        i_x, f_x, g_x, i_xm, f_xm, g_xm, o_x = self.gates("x", 7, x)
        i_h, f_h, g_h, o_h = self.gates("h", 4, hidden)
        i_c, f_c, g_c = self.gates("c", 3, memory if self.release == "v0.3" else cell)
        i_m, f_m, m_m = self.gates("m", 3, memory)
        cell, _ = remember(cell, i_x + i_h + i_c, f_x + f_h + f_c, g_x + g_h + g_c)

        i_c, g_c, f_c, o_c = self.gates("c2m", 4, cell)
        memory, _ = remember(jnp.tanh(m_m), i_xm + i_m + i_c, f_xm + f_m + f_c, g_xm + g_c)
        (o_m,) = self.gates("om", 1, memory)
        output = jnp.tanh(o_x + o_h + o_c + o_m)
        if self.faithful and self.is_initializing():  # for its weights alone
            self.gates("o", 1, jnp.concatenate([cell, memory], axis=-1))
        return output * jnp.tanh(self.last(cell, memory)), cell, memory


class GradientHighway(GatedCell):
    """A gated unit that lets gradients reach far back in time."""

    @nn.compact
    def __call__(self, x: Array, carried: Array) -> Array:
        """The new value (B, H, W, features) of the highway, after `x`."""
        p_x, u_x = self.gates("x", 2, x, nearly_zero)
        p_z, u_z = self.gates("z", 2, carried, nearly_zero)
        u = jax.nn.sigmoid(u_x + u_z)
        return u * jnp.tanh(p_x + p_z) + (1 - u) * carried


class PredRNNpp(RecurrentShell):
    """A stack of causal LSTMs, with a gradient highway between the first and the second.

    Attributes:
      faithful: have the weights that the public code declares and never uses.
      release: of OpenSTL. In "v0.3", which trained the model zoo, the first memory's gates see the
        second memory in place of the first.
    """

    faithful: bool = False
    release: str = RELEASES[0]

    card = Card(
        title="PredRNN++: Towards A Resolution of the Deep-in-Time Dilemma in Spatiotemporal "
        "Predictive Learning",
        venue="ICML 2018",
        link="https://arxiv.org/abs/1804.06300",
        source="OpenSTL c74deb5d, method PredRNNpp",
        faithful="No biases but the forget gates' constant 1. OpenSTL v0.3, which trained the "
        "model zoo, has another cell, whose conv_c sees the memory: release='v0.3'.",
        corrected="A convolution in each cell that is never used exists only with faithful=True. "
        "layer_norm works; in the public code it fails: the highway's norm has half the width.",
    )

    def check(self) -> None:
        """Refuses a stack without a second layer, which the highway leads to."""
        super().check()
        one_of("release", self.release, RELEASES)
        at_least("the number of layers in num_hidden", len(self.num_hidden), 2)

    def make_cells(self) -> list[CausalLSTM]:
        """A cell for each layer."""
        settings = self.cell_settings() | {"faithful": self.faithful, "release": self.release}
        return [CausalLSTM(width, **settings) for width in self.num_hidden]

    def setup(self) -> None:
        """Adds the highway."""
        super().setup()
        self.highway = GradientHighway(self.num_hidden[0], **self.cell_settings())

    def start(self, frames: Array) -> State:
        """(hidden, cell) of each layer, the memory, and the highway's value; zero."""
        layers = tuple((self.zeros(frames, n), self.zeros(frames, n)) for n in self.num_hidden)
        return (
            layers,
            self.zeros(frames, self.num_hidden[0]),
            self.zeros(frames, self.num_hidden[0]),
        )

    def advance(self, state: State, x: Array, train: bool) -> tuple[State, Array]:
        """One step up the layers."""
        layers, memory, highway = state
        following = []
        for i, (cell, (hidden, carried)) in enumerate(zip(self.cells, layers, strict=True)):
            x, carried, memory = cell(x, hidden, carried, memory)
            following.append((x, carried))
            if i == 0:
                x = highway = self.highway(x, highway)
        return (tuple(following), memory, highway), x
