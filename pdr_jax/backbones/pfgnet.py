"""PFGNet (CVPR 2026): large kernels, of which each pixel chooses by how rough its place is.

SimVP's encoder and decoder around peripheral frequency gating. The paper gates the channel mixing
by a sigmoid; the public code, and so this one, by SiLU.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array
from jax.nn.initializers import Initializer, zeros
from jax.typing import DTypeLike

from pdr_jax.backbones.base import Card
from pdr_jax.backbones.checks import at_least, divisible, integers, odd
from pdr_jax.backbones.layers.conv import Conv
from pdr_jax.backbones.layers.dropout import Dropout, stochastic_depth
from pdr_jax.backbones.layers.gelu import gelu
from pdr_jax.backbones.layers.initializers import he_fan_out, pytorch_default
from pdr_jax.backbones.layers.l2_norm import l2_norm
from pdr_jax.backbones.layers.layer_scale import layer_scale
from pdr_jax.backbones.layers.norm import group_norm
from pdr_jax.backbones.layers.per_channel import add_bias, apply_gain
from pdr_jax.backbones.layers.peripheral import (
    PeripheralGating,
    he_of_all_channels,
    separable,
)
from pdr_jax.backbones.layers.remat import recompute
from pdr_jax.backbones.simvp_shell import EncoderDecoder

MOST_GROUPS = 32  # of the blocks' normalisation
MLP_RATIO = 4
LAYER_SCALE = 1e-6


def first_channel(fan_in: int, fan_out: int) -> tuple[Initializer, Initializer]:
    """1 for the first channel, 0 for the others.

    What PyTorch's dirac_ makes of a depthwise kernel, which was meant to be the identity.
    """
    del fan_in, fan_out

    def init(key, shape, dtype=float, out_sharding=None):
        del key, out_sharding
        return jnp.zeros(shape, dtype).at[..., 0].set(1)

    return init, zeros


class StemBranch(nn.Module):
    """Depthwise convolutions, `size` separable, 3x3 and 1x1, summed; then 1x1 to `features`."""

    features: int
    size: int
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps (N, H, W, C) to (N, H, W, features)."""
        depthwise = functools.partial(
            Conv, x.shape[-1], groups=x.shape[-1], use_bias=False, dtype=self.dtype
        )
        y = separable(x, self.size, pytorch_default, self.dtype)
        y = y + depthwise(3, name="near")(x)
        y = y + depthwise(1, initializer=first_channel, name="same")(x)
        return Conv(self.features, use_bias=False, dtype=self.dtype, name="mix")(y)


class Stem(nn.Module):
    """A branch of each size, of equal widths; what is left of the width is of the first size."""

    sizes: tuple[int, ...]
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Transforms `x` (N, H, W, C) to the same shape."""
        width, rest = divmod(x.shape[-1], len(self.sizes))
        parts = [
            StemBranch(width, size, self.dtype, name=f"branch_{i}")(x)
            for i, size in enumerate(self.sizes)
        ]
        if rest:
            parts.append(StemBranch(rest, self.sizes[0], self.dtype, name="rest")(x))
        y = jnp.concatenate(parts, axis=-1)
        return gelu(group_norm(1, dtype=self.dtype, name="norm")(y))


class ResponseNorm(nn.Module):
    """x + gamma x / |x| + beta, where |x| is a channel's L2 norm over the frame.

    gamma (C,) starts at 1. Unlike ConvNeXt V2's, whose name it has there (GRN), it does not compare
    channels.
    """

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Transforms `x` (N, H, W, C) to the same shape."""
        gamma = self.param("gamma", nn.initializers.ones, x.shape[-1:])
        beta = self.param("beta", zeros, x.shape[-1:])
        response = apply_gain(x, apply_gain(1 / (l2_norm(x, (1, 2)) + 1e-6), gamma))
        return add_bias(x + response, beta)


class PFGBlock(nn.Module):
    """Residual branches: gating in space, then gated channels; each with GRN and a layer scale."""

    sizes: tuple[int, ...]
    drop: float
    drop_path: float
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Transforms `x` (N, H, W, C) to the same shape."""
        d = x.shape[-1]
        norm = functools.partial(group_norm, min(MOST_GROUPS, d), dtype=self.dtype)
        conv = functools.partial(Conv, dtype=self.dtype)
        dropout = Dropout(self.drop, deterministic=not train)
        drop_path = stochastic_depth(self.drop_path, train)

        y = gelu(PeripheralGating(self.sizes, self.dtype, name="gating")(norm(name="norm_1")(x)))
        y = dropout(ResponseNorm(name="response_1")(y))
        x = x + drop_path(layer_scale(self, "scale_1", y, LAYER_SCALE))

        hidden = MLP_RATIO * d
        y = conv(2 * hidden, initializer=he_fan_out, name="expand")(norm(name="norm_2")(x))
        gate, y = jnp.split(y, 2, axis=-1)
        y = conv(
            hidden, 3, groups=hidden, use_bias=False, initializer=he_of_all_channels(hidden),
            name="depthwise",
        )(y)  # fmt: skip
        y = conv(d, initializer=he_fan_out, name="contract")(jax.nn.silu(gate) * y)
        y = dropout(ResponseNorm(name="response_2")(y))
        return x + drop_path(layer_scale(self, "scale_2", y, LAYER_SCALE))


class PFGTranslator(nn.Module):
    """The stem, then one block for each rate of stochastic depth."""

    stem_sizes: tuple[int, ...]
    sizes: tuple[int, ...]
    drop: float
    drop_path_rates: tuple[float, ...]
    dtype: DTypeLike | None = None
    remat: bool = False

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Translates `x` (N, H, W, C) to the same shape."""
        x = recompute(Stem(self.stem_sizes, self.dtype, name="stem"), x, when=self.remat)
        for i, rate in enumerate(self.drop_path_rates):
            block = PFGBlock(self.sizes, self.drop, rate, self.dtype, name=f"block_{i}")
            x = recompute(block, x, train=train, when=self.remat)
        return x


class PFGNet(EncoderDecoder):
    """SimVP's encoder and decoder with peripheral frequency gating between them.

    Attributes:
      cel_k: sides of the stem's kernels, odd.
      pfga_K: sides of the blocks' kernels, odd.
    """

    cel_k: tuple[int, ...] = (3, 5, 7)
    pfga_K: tuple[int, ...] = (9, 15, 31)  # noqa: N815

    card = Card(
        title="PFGNet: A Fully Convolutional Frequency-Guided Peripheral Gating Network for "
        "Efficient Spatiotemporal Predictive Learning",
        venue="CVPR 2026",
        link="https://arxiv.org/abs/2602.20537",
        source="fhjdqaq/PFGNet 7ca6a13b",
        faithful="SiLU gates the channels where the paper has a sigmoid. GRN divides each channel "
        "by its own norm only. Depthwise kernels of the blocks start small, with the fan-out of "
        "all channels, and the stem's identity starts in the first channel alone.",
    )

    def make_translator(self) -> nn.Module:
        """The stem and N_T blocks."""
        how = (self.dtype, self.remat)
        return PFGTranslator(self.cel_k, self.pfga_K, self.drop, self.drop_path_rates(), *how)

    def drop_path_rates(self) -> tuple[float, ...]:
        """Stochastic depth of each block: linear from 0.01 to `drop_path`; none if that is 0."""
        if self.drop_path == 0 or self.N_T == 1:
            return (self.drop_path,) * self.N_T
        return tuple(float(rate) for rate in np.linspace(0.01, self.drop_path, self.N_T))

    def check(self) -> None:
        """Refuses even kernels, and widths that the normalisation cannot divide."""
        super().check()
        for field in ("cel_k", "pfga_K"):
            for i, size in enumerate(integers(field, getattr(self, field), 1)):
                odd(f"{field}[{i}]", size)
        width = self.in_shape[0] * self.hid_S
        at_least("T * hid_S", width, len(self.cel_k))
        divisible("T * hid_S", width, min(MOST_GROUPS, width), "the groups of its normalisation")
