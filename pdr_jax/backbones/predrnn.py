"""PredRNN: Recurrent Neural Networks for Predictive Learning (NIPS 2017)."""

from jax import Array

from pdr_jax.backbones.base import Card, State
from pdr_jax.backbones.layers.st_lstm import SpatioTemporalLSTM
from pdr_jax.backbones.recurrent_shell import RecurrentShell


class PredRNN(RecurrentShell):
    """A stack of spatiotemporal LSTMs with a memory that goes through all of them."""

    card = Card(
        title="PredRNN: Recurrent Neural Networks for Predictive Learning using Spatiotemporal "
        "LSTMs",
        venue="NIPS 2017",
        link="https://papers.nips.cc/paper/6689",
        source="OpenSTL c74deb5d, method PredRNN",
        faithful="No biases but the forget gates' constant 1.",
    )

    def make_cells(self) -> list[SpatioTemporalLSTM]:
        """A cell for each layer."""
        return [SpatioTemporalLSTM(width, **self.cell_settings()) for width in self.num_hidden]

    def start(self, frames: Array) -> State:
        """(hidden, cell) of each layer, and the memory; zero."""
        layers = tuple((self.zeros(frames, n), self.zeros(frames, n)) for n in self.num_hidden)
        return layers, self.zeros(frames, self.num_hidden[0])

    def advance(self, state: State, x: Array, train: bool) -> tuple[State, Array]:
        """One step up the layers."""
        state, _ = self.climb(state, x)
        return state, state[0][-1][0]

    def climb(self, state: State, x: Array) -> tuple[State, list[tuple[Array, Array]]]:
        """The new state, and what each layer wrote to its cell and to the memory."""
        layers, memory = state
        following, written = [], []
        for cell, (hidden, carried) in zip(self.cells, layers, strict=True):
            x, carried, memory, increments = cell(x, hidden, carried, memory)
            following.append((x, carried))
            written.append(increments)
        return (tuple(following), memory), written
