"""PredRNN v2: a loss that keeps the spatiotemporal LSTM's two memories apart (TPAMI 2022)."""

import jax.numpy as jnp
from jax import Array, lax

from pdr_jax.backbones.base import Card, State
from pdr_jax.backbones.layers.conv import Conv
from pdr_jax.backbones.predrnn import PredRNN


class PredRNNv2(PredRNN):
    """PredRNN that learns to write different things to its two memories.

    Sows the decoupling loss: the mean over steps, layers, samples and channels of
    |cos(A dc, A dm)|, dc and dm being the maps written to the two memories and A a 1x1
    convolution that all layers share. The paper trains with reverse scheduled sampling
    (`Forcing`), which is the trainer's.

    Attributes:
      decouple_beta: weight of the decoupling loss.
    """

    decouple_beta: float = 0.1

    card = Card(
        title="PredRNN: A Recurrent Neural Network for Spatiotemporal Predictive Learning",
        venue="TPAMI 2022",
        link="https://arxiv.org/abs/2103.09504",
        source="OpenSTL c74deb5d, method PredRNNv2",
        faithful="As PredRNN. The decoupling loss takes cosines over space, for each channel.",
    )

    def check(self) -> None:
        """Refuses a weight that would draw the memories together."""
        super().check()
        if not self.decouple_beta >= 0:
            raise ValueError(f"decouple_beta = {self.decouple_beta} must not be negative")

    def setup(self) -> None:
        """Adds A, the adapter."""
        super().setup()
        self.adapter = Conv(self.num_hidden[0], use_bias=False, dtype=self.dtype)

    def start(self, frames: Array) -> State:
        """PredRNN's state, and the coupling of the memories so far, (B,) float32."""
        return super().start(frames), jnp.zeros(frames.shape[0], jnp.float32)

    def advance(self, state: State, x: Array, train: bool) -> tuple[State, Array]:
        """One step up the layers."""
        inner, coupling = state
        inner, written = self.climb(inner, x)
        if train or self.is_initializing():
            cosines = [
                jnp.abs(cosine(self.adapter(to_cell), self.adapter(to_memory)))
                for to_cell, to_memory in written
            ]
            coupling = coupling + jnp.stack(cosines).mean(axis=(0, 2))
        return (inner, coupling), inner[0][-1][0]

    def sow_losses(self, before: State, after: State, steps: int) -> None:
        """The decouple loss of this run."""
        mean = (after[1] - before[1]).mean() / steps
        self.sow("losses", "decouple", self.decouple_beta * mean)


def cosine(a: Array, b: Array) -> Array:
    """Of two maps (B, H, W, C), for each channel: (B, C) float32; 0 where a map is all zero."""
    a, b = a.astype(jnp.float32), b.astype(jnp.float32)
    norms = [lax.rsqrt(jnp.maximum(jnp.square(m).sum((1, 2)), 1e-24)) for m in (a, b)]
    return (a * b).sum((1, 2)) * norms[0] * norms[1]
