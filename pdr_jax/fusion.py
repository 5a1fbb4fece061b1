"""How coarse and rendered frames become the prediction."""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from pdr_jax.arrays import lead_times


class Fused(NamedTuple):
    """The prediction, and for gated fusion the share that the rendered frames have in it.

    Attributes:
      prediction: the fused frames.
      gate: 1 where the rendered frame alone is taken, 0 where the coarse frame alone is.
    """

    prediction: Float[Array, "*B H W C"]
    gate: Float[Array, "*B H W C"] | None = None


class ConvFusion(nn.Module):
    """Conv1x1(concat(coarse, rendered)), the 1x1 convolution being a dense layer over channels.

    This is the paper's fusion (section PDR).

    Attributes:
      kernel_init: of the (2 C, C) kernel.
    """

    kernel_init: Callable[..., Array]

    @nn.compact
    def __call__(
        self,
        coarse: Float[Array, "*B H W C"],
        rendered: Float[Array, "*B H W C"],
        coverage: Float[Array, "*B H W 1"] | None,
    ) -> Fused:
        """Fuses the frames; the coverage is not used."""
        both = jnp.concatenate([coarse, rendered], axis=-1)
        return Fused(nn.Dense(coarse.shape[-1], kernel_init=self.kernel_init, name="conv")(both))


class GatedFusion(nn.Module):
    """A share of the rendered frame for each value, which grows with the coverage. Ours.

    gate = coverage / (coverage + start exp(z)), where two 3x3 convolutions make z from both frames,
    their difference, the coverage and the lead time. The prediction lies between both frames:
    coarse + gate (rendered - coarse). Where nothing was drawn it is the coarse frame.

    Attributes:
      start: of the gate at the beginning: at coverage 1 it is 1 / (1 + start).
      hidden: channels of the hidden layer.
    """

    start: float
    hidden: int = 16

    @nn.compact
    def __call__(
        self,
        coarse: Float[Array, "B T H W C"],
        rendered: Float[Array, "B T H W C"],
        coverage: Float[Array, "B T H W 1"] | None,
    ) -> Fused:
        """Fuses the frames; Gaussians without weights (coverage None) count as covering all."""
        if coverage is None:
            coverage = jnp.ones_like(coarse[..., :1])
        time = jnp.broadcast_to(lead_times(coarse.shape[1]).reshape(1, -1, 1, 1, 1), coverage.shape)
        parts = [coarse, rendered, coarse - rendered, jnp.minimum(coverage, 2.0), time]
        x = nn.Conv(self.hidden, (3, 3), name="hidden")(jnp.concatenate(parts, axis=-1))
        small = nn.initializers.normal(0.01)
        z = nn.Conv(coarse.shape[-1], (3, 3), kernel_init=small, name="out")(nn.gelu(x))
        z = jnp.clip(z, -30.0, 80.0)  # exp is neither 0, as coverage may be, nor infinite
        gate = coverage / (coverage + self.start * jnp.exp(z))
        return Fused(coarse + gate * (rendered - coarse), gate)


def _pass_through(key: Array, shape: tuple[int, int], dtype: Any = jnp.float32) -> Array:
    eye = jnp.eye(shape[1], dtype=dtype)
    return jnp.concatenate([eye, 0.1 * eye])


CONV_INITS: dict[str, Callable[..., Array]] = {
    "random": nn.initializers.lecun_normal(),
    "pass_through": _pass_through,
}
"""How the kernel of `ConvFusion` can start."""
