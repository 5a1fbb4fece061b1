"""TAU: Temporal Attention Unit (CVPR 2023): static attention in space, dynamic over channels."""

import functools

import jax
from flax import linen as nn
from jax import Array
from jax.typing import DTypeLike

from pdr_jax.backbones.base import Card
from pdr_jax.backbones.checks import at_least
from pdr_jax.backbones.layers.conv import Conv
from pdr_jax.backbones.layers.gated_attention import GatedAttentionBlock, large_kernel
from pdr_jax.backbones.layers.initializers import LayerInit, pytorch_default
from pdr_jax.backbones.layers.linear import Linear
from pdr_jax.backbones.layers.per_channel import apply_gain
from pdr_jax.backbones.metaformer import Block
from pdr_jax.backbones.simvp_shell import SimVPShell


def squeezed_width(width: int) -> int:
    """Hidden width of the channel attention (16 for the published widths); 0 for widths below 4."""
    return width // max(width // 16, 4)


class TAUGate(nn.Module):
    """x * f * s: f from a decomposed 21x21 convolution, s in (0, 1) per channel from the mean."""

    initializer: LayerInit
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Gates `x` (N, H, W, C)."""
        d = x.shape[-1]
        f = large_kernel(x, self.initializer, self.dtype)
        f = Conv(d, initializer=self.initializer, dtype=self.dtype, name="mix")(f)

        s = x.mean(axis=(1, 2), keepdims=True)
        linear = functools.partial(
            Linear, use_bias=False, initializer=self.initializer, dtype=self.dtype
        )
        s = jax.nn.relu(linear(squeezed_width(d), name="squeeze")(s))
        s = jax.nn.sigmoid(linear(d, name="excite")(s))
        return apply_gain(f * x, s)


class TAU(SimVPShell):
    """SimVP's encoder and decoder with temporal attention units between them."""

    card = Card(
        title="Temporal Attention Unit: Towards Efficient Spatiotemporal Predictive Learning",
        venue="CVPR 2023",
        link="https://arxiv.org/abs/2206.12126",
        source="OpenSTL c74deb5d, method TAU",
        faithful="The attention keeps PyTorch's default initial values. Stochastic depth starts at "
        "0.01 in the first block even where drop_path is 0.",
    )

    def make_blocks(self) -> list[Block]:
        """N_T temporal attention units.

        Their attention keeps PyTorch's default initial values: the original draws the block's own
        values first and only then puts this attention in its place.
        """
        return [
            functools.partial(
                GatedAttentionBlock,
                TAUGate,
                self.mlp_ratio,
                self.drop,
                rate,
                attention_initializer=pytorch_default,
                dtype=self.dtype,
            )
            for rate in self.drop_path_rates()
        ]

    def check(self) -> None:
        """Refuses widths too small for the channel attention."""
        super().check()
        at_least("hid_T", self.hid_T, 4)
        at_least("T * hid_S", self.in_shape[0] * self.hid_S, 4)
