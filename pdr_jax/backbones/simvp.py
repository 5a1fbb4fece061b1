"""SimVP's two translators.

`SimVPIncepU`: SimVP: Simpler yet Better Video Prediction (CVPR 2022), called SimVP v1.
`SimVPgSTA`: SimVP: Towards Simple yet Powerful Spatiotemporal Predictive Learning (2022), v2.
"""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jax.typing import DTypeLike

from pdr_jax.backbones.base import Card
from pdr_jax.backbones.checks import at_least
from pdr_jax.backbones.layers.conv import Conv
from pdr_jax.backbones.layers.gated_attention import GatedAttentionBlock, large_kernel
from pdr_jax.backbones.layers.initializers import LayerInit
from pdr_jax.backbones.layers.norm import group_norm
from pdr_jax.backbones.layers.remat import recompute
from pdr_jax.backbones.metaformer import Block
from pdr_jax.backbones.simvp_shell import SimVPShell

INCEPTION_KERNELS = (3, 5, 7, 11)
INCEPTION_GROUPS = 8


class InceptionBlock(nn.Module):
    """1x1 convolution to `hidden`, then the sum of four grouped convolutions of growing size.

    Each branch is convolution (8 groups, or 1 when 8 does not divide `hidden`), GroupNorm with as
    many groups, LeakyReLU 0.2.
    """

    hidden: int
    features: int
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps (N, H, W, C) to (N, H, W, features)."""
        x = Conv(self.hidden, dtype=self.dtype, name="reduce")(x)
        groups = inception_groups(self.hidden)
        branches = []
        for i, size in enumerate(INCEPTION_KERNELS):
            conv = Conv(self.features, size, groups=groups, dtype=self.dtype, name=f"conv_{i}")
            norm = group_norm(groups, dtype=self.dtype, name=f"norm_{i}")
            branches.append(jax.nn.leaky_relu(norm(conv(x)), 0.2))
        return sum(branches[1:], start=branches[0])


def inception_groups(hidden: int) -> int:
    """Groups of an inception block's convolutions: 8 where that divides the width, else 1."""
    return INCEPTION_GROUPS if hidden % INCEPTION_GROUPS == 0 else 1


class IncepU(nn.Module):
    """A U-Net of inception blocks at one resolution: `depth` down, `depth` up, skips between."""

    hidden: int
    depth: int
    dtype: DTypeLike | None = None
    remat: bool = False

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Translates `x` (N, H, W, C) to the same shape; behaves alike in training."""
        del train
        channels, half = x.shape[-1], self.hidden // 2
        skips: list[Array] = []
        for i in range(self.depth):
            block = InceptionBlock(half, self.hidden, self.dtype, name=f"down_{i}")
            x = recompute(block, x, when=self.remat)
            skips.append(x)
        skips.pop()
        for i in range(self.depth):
            if i > 0:
                x = jnp.concatenate([x, skips.pop()], axis=-1)
            width = self.hidden if i < self.depth - 1 else channels
            block = InceptionBlock(half, width, self.dtype, name=f"up_{i}")
            x = recompute(block, x, when=self.remat)
        return x


class SimVPIncepU(SimVPShell):
    """SimVP with the IncepU translator; mlp_ratio, drop and drop_path have no effect there."""

    card = Card(
        title="SimVP: Simpler yet Better Video Prediction",
        venue="CVPR 2022",
        link="https://arxiv.org/abs/2206.05099",
        source="OpenSTL c74deb5d, model_type IncepU",
        faithful="Stochastic depth is never applied. The published KTH model has N_T = 6.",
    )

    def make_translator(self) -> nn.Module:
        """The U-Net of 2 N_T inception blocks."""
        return IncepU(self.hid_T, self.N_T, self.dtype, self.remat)

    def check(self) -> None:
        """Refuses widths that the grouped normalisation cannot divide."""
        super().check()
        at_least("hid_T", self.hid_T, 2)
        groups = inception_groups(self.hid_T // 2)
        self.check_widths(groups, "the number of groups of simvp_incepu's normalisation")


class GSTAGate(nn.Module):
    """A 21x21 receptive field, decomposed, to features f and a gate g; returns f sigmoid(g)."""

    initializer: LayerInit
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Gates `x` (N, H, W, C)."""
        d = x.shape[-1]
        x = large_kernel(x, self.initializer, self.dtype)
        features, gate = jnp.split(
            Conv(2 * d, initializer=self.initializer, dtype=self.dtype, name="mix")(x), 2, axis=-1
        )
        return features * jax.nn.sigmoid(gate)


class SimVPgSTA(SimVPShell):
    """SimVP with the gSTA translator."""

    card = Card(
        title="SimVP: Towards Simple yet Powerful Spatiotemporal Predictive Learning",
        venue="arXiv 2022",
        link="https://arxiv.org/abs/2211.12509",
        source="OpenSTL c74deb5d, model_type gSTA",
        faithful="Stochastic depth starts at 0.01 in the first block even where drop_path is 0.",
    )

    def make_blocks(self) -> list[Block]:
        """N_T blocks of gated spatiotemporal attention."""
        return [
            functools.partial(
                GatedAttentionBlock, GSTAGate, self.mlp_ratio, self.drop, rate, dtype=self.dtype
            )
            for rate in self.drop_path_rates()
        ]
