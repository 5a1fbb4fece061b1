"""MLP-Mixer: one MLP over the pixels of each channel, one over the channels of each pixel."""

import functools

import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jax.typing import DTypeLike

from pdr_jax.backbones.base import Card
from pdr_jax.backbones.checks import at_least
from pdr_jax.backbones.layers.dropout import stochastic_depth
from pdr_jax.backbones.layers.mlp import Mlp
from pdr_jax.backbones.layers.norm import layer_norm
from pdr_jax.backbones.metaformer import Block
from pdr_jax.backbones.simvp_shell import SimVPShell


class MixerBlock(nn.Module):
    """x + MLP over pixels (LN x), then x + MLP over channels (LN x), drop path on both branches.

    The pixels are H W inputs of the first MLP, so the parameters fit one size of frame only.

    Attributes:
      mlp_ratio: width of the second MLP over the block's; the first is half as wide as the block.
      drop: dropout within both.
      drop_path: stochastic depth of both branches.
      dtype: compute dtype.
    """

    mlp_ratio: float
    drop: float
    drop_path: float
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Transforms `x` (N, H, W, C) to the same shape."""
        shape, d = x.shape, x.shape[-1]
        norm = functools.partial(layer_norm, epsilon=1e-6, dtype=self.dtype)
        drop_path = stochastic_depth(self.drop_path, train, ndim=3)
        over_pixels = Mlp(d // 2, self.drop, dtype=self.dtype, name="pixels")
        over_channels = Mlp(int(d * self.mlp_ratio), self.drop, dtype=self.dtype, name="channels")

        x = x.reshape(shape[0], -1, d)
        y = over_pixels(jnp.swapaxes(norm(name="norm_1")(x), 1, 2), train)
        x = x + drop_path(jnp.swapaxes(y, 1, 2))
        y = over_channels(norm(name="norm_2")(x), train)
        return (x + drop_path(y)).reshape(shape)


class MLPMixer(SimVPShell):
    """SimVP's encoder and decoder with an MLP-Mixer between them."""

    card = Card(
        title="MLP-Mixer: An all-MLP Architecture for Vision",
        venue="NeurIPS 2021",
        link="https://arxiv.org/abs/2105.01601",
        source="OpenSTL c74deb5d, model_type MLP (timm 0.6.13's block)",
        faithful="The MLP over pixels is half as wide as the block has channels, however many "
        "pixels there are. Stochastic depth starts at 0.01 in the first block even where "
        "drop_path is 0.",
    )

    def make_blocks(self) -> list[Block]:
        """N_T MLP-Mixer blocks."""
        return [
            functools.partial(MixerBlock, self.mlp_ratio, self.drop, rate, self.dtype)
            for rate in self.drop_path_rates()
        ]

    def check(self) -> None:
        """Refuses a width below 2, of which the MLP over pixels has half."""
        super().check()
        at_least("hid_T", self.hid_T, 2)
