"""HorNet: spatial interactions of a high order, from gates that gate each other in turn."""

import functools

import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jax.typing import DTypeLike

from pdr_jax.backbones.base import Card
from pdr_jax.backbones.layers.conv import Conv
from pdr_jax.backbones.layers.dropout import stochastic_depth
from pdr_jax.backbones.layers.initializers import he_fan_out
from pdr_jax.backbones.layers.layer_scale import layer_scale
from pdr_jax.backbones.layers.mlp import Mlp
from pdr_jax.backbones.layers.norm import layer_norm
from pdr_jax.backbones.metaformer import Block
from pdr_jax.backbones.simvp_shell import SimVPShell

ORDER = 4
LAYER_SCALE = 1e-6


class RecursiveGatedConv(nn.Module):
    """gnConv: a polynomial of degree n + 1 in its input, from n = 4 gates one after the other.

    A 1x1 convolution to twice the width gives p of d/8 channels, and q_1, ..., q_4 of d/8, d/4,
    d/2 and d channels, which a depthwise 7x7 convolution spreads in space. Then p <- p q_1, and
    p <- (1x1 convolution of p to the channels of q_k) q_k for k = 2, 3, 4; last a 1x1 convolution.
    """

    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps `x` (N, H, W, d) to the same shape; d is a multiple of 8."""
        d = x.shape[-1]
        conv = functools.partial(Conv, initializer=he_fan_out, dtype=self.dtype)
        widths = [d >> (ORDER - 1 - k) for k in range(ORDER)]
        gates = sum(widths)
        p, q = jnp.split(conv(2 * d, name="proj_in")(x), [widths[0]], axis=-1)
        q = conv(gates, 7, groups=gates, name="depthwise")(q)
        offsets = [sum(widths[: k + 1]) for k in range(ORDER - 1)]
        for k, gate in enumerate(jnp.split(q, offsets, axis=-1)):
            if k > 0:
                p = conv(widths[k], name=f"point_{k - 1}")(p)
            p = p * gate
        return conv(d, name="proj_out")(p)


class HorNetBlock(nn.Module):
    """x + s1 gnConv(LN x), then x + s2 MLP(LN x), with drop path on both branches.

    s1 and s2 are learned per channel and start at 1e-6.

    Attributes:
      mlp_ratio: width of the MLP over the block's width.
      drop_path: stochastic depth of both branches.
      dtype: compute dtype.
    """

    mlp_ratio: float
    drop_path: float
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Transforms `x` (N, H, W, C) to the same shape."""
        norm = functools.partial(layer_norm, epsilon=1e-6, dtype=self.dtype)
        drop_path = stochastic_depth(self.drop_path, train)
        gated_conv = RecursiveGatedConv(self.dtype, name="gated_conv")
        mlp = Mlp(int(x.shape[-1] * self.mlp_ratio), dtype=self.dtype, name="mlp")

        y = gated_conv(norm(name="norm_1")(x))
        x = x + drop_path(layer_scale(self, "scale_1", y, LAYER_SCALE))
        y = mlp(norm(name="norm_2")(x), train)
        return x + drop_path(layer_scale(self, "scale_2", y, LAYER_SCALE))


class HorNet(SimVPShell):
    """SimVP with a HorNet translator; drop has no effect there."""

    card = Card(
        title="HorNet: Efficient High-Order Spatial Interactions with Recursive Gated Convolutions",
        venue="NeurIPS 2022",
        link="https://arxiv.org/abs/2207.14284",
        source="OpenSTL c74deb5d, model_type HorNet",
        faithful="Dropout is never applied. Stochastic depth starts at 0.01 in the first block "
        "even where drop_path is 0. The published Human3.6M model has N_T = 6.",
    )

    def make_blocks(self) -> list[Block]:
        """N_T HorNet blocks."""
        return [
            functools.partial(HorNetBlock, self.mlp_ratio, rate, self.dtype)
            for rate in self.drop_path_rates()
        ]

    def check(self) -> None:
        """Refuses widths that cannot be halved from gate to gate."""
        super().check()
        self.check_widths(2 ** (ORDER - 1), "simvp_hornet's gates halve the width three times")
