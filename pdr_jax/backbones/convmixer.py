"""ConvMixer: a large depthwise convolution for space, a 1x1 convolution for channels."""

import functools

from flax import linen as nn
from jax import Array
from jax.typing import DTypeLike

from pdr_jax.backbones.base import Card
from pdr_jax.backbones.layers.conv import Conv
from pdr_jax.backbones.layers.gelu import gelu
from pdr_jax.backbones.layers.initializers import he_fan_out
from pdr_jax.backbones.layers.norm import BatchNorm
from pdr_jax.backbones.metaformer import Block
from pdr_jax.backbones.simvp_shell import SimVPShell

KERNEL_SIZE = 11


class ConvMixerBlock(nn.Module):
    """x + BN(gelu(depthwise 11x11 (x))), then BN(gelu(1x1 (x))), which has no shortcut."""

    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Transforms `x` (N, H, W, C) to the same shape."""
        d = x.shape[-1]
        depthwise = Conv(
            d, KERNEL_SIZE, groups=d, initializer=he_fan_out, dtype=self.dtype, name="depthwise"
        )
        pointwise = Conv(d, initializer=he_fan_out, dtype=self.dtype, name="pointwise")
        x = x + BatchNorm(dtype=self.dtype, name="norm_1")(gelu(depthwise(x)), train)
        return BatchNorm(dtype=self.dtype, name="norm_2")(gelu(pointwise(x)), train)


class ConvMixer(SimVPShell):
    """SimVP with a ConvMixer translator; mlp_ratio, drop and drop_path have no effect there."""

    card = Card(
        title="Patches Are All You Need?",
        venue="TMLR 2023",
        link="https://arxiv.org/abs/2201.09792",
        source="OpenSTL c74deb5d, model_type ConvMixer",
        faithful="Kernels of 11x11. Neither dropout nor stochastic depth is ever applied.",
    )

    def make_blocks(self) -> list[Block]:
        """N_T ConvMixer blocks."""
        return [functools.partial(ConvMixerBlock, self.dtype)] * self.N_T
