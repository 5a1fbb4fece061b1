"""PoolFormer: a transformer's block with a mean over near pixels in place of attention."""

import functools

from flax import linen as nn
from jax import Array
from jax.typing import DTypeLike

from pdr_jax.backbones.base import Card
from pdr_jax.backbones.layers.dropout import stochastic_depth
from pdr_jax.backbones.layers.layer_scale import layer_scale
from pdr_jax.backbones.layers.mlp import Mlp
from pdr_jax.backbones.layers.norm import group_norm
from pdr_jax.backbones.metaformer import Block
from pdr_jax.backbones.simvp_shell import SimVPShell

LAYER_SCALE = 1e-5


def pool(x: Array) -> Array:
    """The mean of each pixel's 3x3 neighbours within the frame, minus the pixel; (N, H, W, C)."""
    mean = nn.avg_pool(x, (3, 3), strides=(1, 1), padding="SAME", count_include_pad=False)
    return mean - x


class PoolFormerBlock(nn.Module):
    """x + s1 pool(GN x), then x + s2 MLP(GN x), with drop path on both branches.

    GN is a GroupNorm of one group. s1 and s2 are learned per channel and start at 1e-5.

    Attributes:
      mlp_ratio: width of the MLP over the block's width.
      drop: dropout within the MLP.
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
        drop_path = stochastic_depth(self.drop_path, train)
        mlp = Mlp(int(x.shape[-1] * self.mlp_ratio), self.drop, dtype=self.dtype, name="mlp")

        y = pool(self._norm("norm_1", x))
        x = x + drop_path(layer_scale(self, "scale_1", y, LAYER_SCALE))
        y = mlp(self._norm("norm_2", x), train)
        return x + drop_path(layer_scale(self, "scale_2", y, LAYER_SCALE))

    def _norm(self, name: str, x: Array) -> Array:
        norm = group_norm(1, dtype=self.dtype, name=name)
        return norm(x)


class PoolFormer(SimVPShell):
    """SimVP's encoder and decoder with a PoolFormer between them."""

    card = Card(
        title="MetaFormer Is Actually What You Need for Vision",
        venue="CVPR 2022",
        link="https://arxiv.org/abs/2111.11418",
        source="OpenSTL c74deb5d, model_type PoolFormer",
        faithful="Stochastic depth starts at 0.01 in the first block even where drop_path is 0.",
    )

    def make_blocks(self) -> list[Block]:
        """N_T PoolFormer blocks."""
        return [
            functools.partial(PoolFormerBlock, self.mlp_ratio, self.drop, rate, self.dtype)
            for rate in self.drop_path_rates()
        ]
