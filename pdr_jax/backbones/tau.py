"""TAU: Temporal Attention Unit (CVPR 2023): static attention in space, dynamic over channels."""

from typing import Any

import jax
from flax import linen as nn
from jax import Array
from jax.typing import DTypeLike

from pdr_jax.backbones.conv import Conv
from pdr_jax.backbones.gated_attention import GatedAttentionBlock
from pdr_jax.backbones.initializers import ConvInit, pytorch_default
from pdr_jax.backbones.shell import SimVPShell


def squeezed_width(width: int) -> int:
    """Hidden width of the channel attention (16 for the published widths)."""
    return width // max(width // 16, 4)


class TAUGate(nn.Module):
    """x * f * s: f from a decomposed 21x21 convolution, s in (0, 1) per channel from the mean."""

    initializer: ConvInit
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Gates `x` (N, H, W, C)."""
        d = x.shape[-1]
        f = Conv(d, 5, groups=d, initializer=self.initializer, dtype=self.dtype, name="near")(x)
        f = Conv(
            d, 7, groups=d, dilation=3, initializer=self.initializer, dtype=self.dtype, name="far"
        )(f)
        f = Conv(d, initializer=self.initializer, dtype=self.dtype, name="mix")(f)

        s = x.mean(axis=(1, 2), keepdims=True)
        s = jax.nn.relu(self._linear(squeezed_width(d), "squeeze", d)(s))
        s = jax.nn.sigmoid(self._linear(d, "excite", s.shape[-1])(s))
        return s * f * x

    def _linear(self, features: int, name: str, fan_in: int) -> nn.Dense:
        kernel_init, _ = self.initializer(fan_in, features)
        return nn.Dense(
            features, use_bias=False, kernel_init=kernel_init, dtype=self.dtype, name=name
        )


def tau_block(**settings: Any) -> GatedAttentionBlock:
    """The temporal attention unit's residual block.

    Its attention keeps PyTorch's default initial values: the original draws the block's own
    values first and only then puts this attention in its place.
    """
    return GatedAttentionBlock(gate=TAUGate, attention_initializer=pytorch_default, **settings)


class TAU(SimVPShell):
    """SimVP's encoder and decoder with temporal attention units between them."""

    def make_translator(self) -> nn.Module:
        """N_T temporal attention units."""
        return self.metaformer(tau_block)
