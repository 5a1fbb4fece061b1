"""VAN: attention as a gate that a decomposed 21x21 convolution computes."""

import functools

from flax import linen as nn
from jax import Array
from jax.typing import DTypeLike

from pdr_jax.backbones.base import Card
from pdr_jax.backbones.layers.conv import Conv
from pdr_jax.backbones.layers.gated_attention import GatedAttentionBlock, large_kernel
from pdr_jax.backbones.layers.initializers import LayerInit
from pdr_jax.backbones.metaformer import Block
from pdr_jax.backbones.simvp_shell import SimVPShell


class LargeKernelAttention(nn.Module):
    """x * a: a from a decomposed 21x21 depthwise convolution, its channels mixed."""

    initializer: LayerInit
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Gates `x` (N, H, W, C)."""
        a = large_kernel(x, self.initializer, self.dtype)
        a = Conv(x.shape[-1], initializer=self.initializer, dtype=self.dtype, name="mix")(a)
        return x * a


class VAN(SimVPShell):
    """SimVP's encoder and decoder with large kernel attention between them."""

    card = Card(
        title="Visual Attention Network",
        venue="Computational Visual Media 2023",
        link="https://arxiv.org/abs/2202.09741",
        source="OpenSTL c74deb5d, model_type VAN",
        faithful="Stochastic depth starts at 0.01 in the first block even where drop_path is 0.",
    )

    def make_blocks(self) -> list[Block]:
        """N_T blocks of large kernel attention."""
        return [
            functools.partial(
                GatedAttentionBlock,
                LargeKernelAttention,
                self.mlp_ratio,
                self.drop,
                rate,
                dtype=self.dtype,
            )
            for rate in self.drop_path_rates()
        ]
