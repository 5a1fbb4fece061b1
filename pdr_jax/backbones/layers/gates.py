"""Parts of the recurrent cells: gates made by convolutions, and what they do.

`gated` and `remember` keep only their arguments for the gradient and compute the rest again: what
each step keeps is most of the memory that training through time takes.
"""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jax.typing import DTypeLike

from pdr_jax.backbones.layers.conv import Conv
from pdr_jax.backbones.layers.initializers import LayerInit, pytorch_default
from pdr_jax.backbones.layers.norm import map_norm

# Forward and backward pass are loops of their own: XLA cannot undo the recomputation.
_checkpoint = functools.partial(jax.checkpoint, prevent_cse=False)


@_checkpoint
def gated(gate: Array, value: Array) -> Array:
    """sigmoid(gate) tanh(value), in (-1, 1)."""
    return jax.nn.sigmoid(gate) * jnp.tanh(value)


@_checkpoint
def remember(
    memory: Array, i: Array, f: Array, g: Array, forget_bias: float = 1.0
) -> tuple[Array, Array]:
    """The LSTM's memory after a step: sigmoid(f + forget_bias) memory + sigmoid(i) tanh(g).

    Args:
      memory: before the step.
      i: the input gate, before its activation.
      f: the forget gate, likewise.
      g: what is written, likewise.
      forget_bias: keeps the forget gate open in an untrained cell.

    Returns:
      The new memory, and the summand that was written to it.
    """
    written = jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(f + forget_bias) * memory + written, written


class GatedCell(nn.Module):
    """Base of the recurrent cells.

    Attributes:
      features: channels of the state, and of each gate.
      kernel_size: odd side of the convolutions' kernels.
      layer_norm: whether the gates' convolutions are normalised over the whole map.
      dtype: compute dtype; None follows the input.
    """

    features: int
    kernel_size: int
    layer_norm: bool = False
    dtype: DTypeLike | None = None

    def gates(
        self, source: str, count: int, x: Array, initializer: LayerInit = pytorch_default
    ) -> list[Array]:
        """What `x` (B, H, W, C) adds to `count` gates: one convolution, without bias.

        To be called in a compact method. `source` names the parameters.
        """
        conv = Conv(
            count * self.features,
            self.kernel_size,
            use_bias=False,
            initializer=initializer,
            dtype=self.dtype,
            name=f"conv_{source}",
        )
        out = self.as_state(conv(x))
        if self.layer_norm:
            out = map_norm(out.ndim, out.dtype, f"norm_{source}")(out)
        return jnp.split(out, count, axis=-1)

    def as_state(self, out: Array) -> Array:
        """A convolution's output (B, H, W, C), in the form that the state has."""
        return out

    def last(self, *maps: Array) -> Array:
        """The cell's output, from its memories (B, H, W, features): a 1x1 convolution."""
        conv = Conv(self.features, use_bias=False, dtype=self.dtype, name="last")
        return conv(jnp.concatenate(maps, axis=-1))
