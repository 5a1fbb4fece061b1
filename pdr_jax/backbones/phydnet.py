"""PhyDNet (CVPR 2020): a learned differential equation, and a ConvLSTM for all else."""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array
from jax.typing import DTypeLike

from pdr_jax.backbones.base import Card, FramePredictor
from pdr_jax.backbones.checks import at_least, divisible, integers, odd
from pdr_jax.backbones.layers.conv import Conv
from pdr_jax.backbones.layers.conv_transpose import enlarging
from pdr_jax.backbones.layers.gates import gated, remember
from pdr_jax.backbones.layers.norm import group_norm

GROUPS = 16  # of the encoders' and decoders' norms


class PhyDNetState(NamedTuple):
    """What the two branches remember; zeros before the first frame.

    Attributes:
      physics: (B, h, w, D), the state of the differential equation.
      residual: the ConvLSTM's hidden states and cells (B, h, w, C), lowest layer first.
    """

    physics: Array
    residual: tuple[tuple[Array, Array], ...]


def moments_of_kernels(kernels: Array) -> Array:
    """The moments (k, k, ...) of kernels (k, k, ...), up to order k - 1 in each direction.

    A convolution's response to a smooth field is, by Taylor's theorem, the sum over i and j of its
    moment (i, j) times the field's derivative, i times down the rows and j times along them.
    """
    size = len(kernels)
    taylor = taylor_matrix(size).astype(kernels.dtype)
    return jnp.einsum("ia,jb,ab...->ij...", taylor, taylor, kernels, precision="highest")


def taylor_matrix(size: int) -> np.ndarray:
    """(size, size): offset^i / i! of every pixel's offset from the kernel's middle, by order i."""
    offsets = np.arange(size) - (size - 1) // 2
    return np.stack([offsets**i / math.factorial(i) for i in range(size)])


class PhyCell(nn.Module):
    """Predicts a state by a learned differential equation, then corrects it by what is seen.

    One filter for every derivative of order below the kernel's side in each direction; a linear
    combination of the normed derivatives is the state's change.

    Attributes:
      features: D, channels of the state.
      kernel_size: side of the filters.
      dtype: compute dtype.
    """

    features: int
    kernel_size: int
    dtype: DTypeLike | None = None

    def setup(self) -> None:
        """Makes the equation's three parts and the gate."""
        conv = functools.partial(Conv, dtype=self.dtype)
        self.filters = conv(self.kernel_size**2, self.kernel_size)
        self.norm = group_norm(self.kernel_size, dtype=self.dtype)
        self.combine = conv(self.features)
        self.gate = conv(self.features, 3)

    def __call__(self, x: Array, state: Array) -> Array:
        """The state after the observation `x`, both (B, h, w, D)."""
        gain = jax.nn.sigmoid(self.gate(jnp.concatenate([x, state], axis=-1)))
        predicted = state + self.combine(self.norm(self.filters(state)))
        return predicted + gain * (x - predicted)

    def moment_loss(self) -> Array:
        """How far the filters are from the derivatives that they stand for.

        Filter i * k + j should have moment (i, j) = 1 and no other: the mean squared difference
        over filters and moments, summed over the channels that the filters apply to.
        """
        size = self.kernel_size
        moments = moments_of_kernels(self.filters.get_variable("params", "kernel"))
        wanted = jnp.eye(size**2).reshape(size, size, 1, size**2)
        return jnp.square(moments - wanted).mean(axis=(0, 1, 3)).sum()


class ConvLSTMCell(nn.Module):
    """A ConvLSTM whose four gates are one convolution of input and hidden state side by side."""

    features: int
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array, hidden: Array, cell: Array) -> tuple[Array, Array]:
        """The hidden state and the cell after input `x`, all (B, h, w, ...)."""
        gates = Conv(4 * self.features, 3, dtype=self.dtype, name="conv")(
            jnp.concatenate([x, hidden], axis=-1)
        )
        input_gate, forget_gate, output_gate, new = jnp.split(gates, 4, axis=-1)
        cell, _ = remember(cell, input_gate, forget_gate, new, forget_bias=0.0)
        return gated(output_gate, cell), cell


class Stack(nn.Module):
    """3x3 convolutions, each followed by a group norm and LeakyReLU 0.2.

    Attributes:
      layers: (channels, stride) of each.
      transposed: whether the convolutions are transposed, and strides therefore enlarge.
      dtype: compute dtype.
    """

    layers: tuple[tuple[int, int], ...]
    transposed: bool = False
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps (B, H, W, C) to (B, H', W', C')."""
        conv = enlarging if self.transposed else Conv
        for i, (features, stride) in enumerate(self.layers, start=1):
            x = conv(features, 3, stride=stride, dtype=self.dtype, name=f"conv_{i}")(x)
            x = group_norm(GROUPS, dtype=self.dtype, name=f"norm_{i}")(x)
            x = jax.nn.leaky_relu(x, 0.2)
        return x


class PhyDNet(FramePredictor):
    """Two recurrent branches in one latent space, summed before they are decoded.

    The prediction is a sigmoid's, so frames must be scaled to (0, 1). In training the filters'
    moment loss is sown. The original adds it to a *sum* of the mean squared errors of all
    S = T + horizon - 1 predicted frames, and the loss here is their mean: it is divided by S too,
    and so the gradient is the original's divided by S.

    Attributes:
      patch_size: by how much the encoder reduces the resolution, 2 or 4.
      nf: channels of the encoder's and decoder's first two layers, a multiple of 16.
      input_dim: channels of the latent space and of the physical state, a multiple of 16.
      hidden_dims: channels of the ConvLSTM's layers; the last is input_dim.
      kernel_size: odd side k of the physical filters; there are k^2 of them.
    """

    patch_size: int = 4
    nf: int = 32
    input_dim: int = 64
    hidden_dims: tuple[int, ...] = (128, 128, 64)
    kernel_size: int = 7

    output_range = (0.0, 1.0)

    card = Card(
        title="Disentangling Physical Dynamics from Unknown Factors for Unsupervised Video "
        "Prediction",
        venue="CVPR 2020",
        link="https://arxiv.org/abs/2003.01460",
        source="OpenSTL c74deb5d, method PhyDNet",
        faithful="The network, with the sigmoid at its end: it cannot predict values outside "
        "(0, 1), such as standardised temperatures.",
        corrected="The loss. The original computes the paper's, then hands that number to a mean "
        "squared error against the target frames and minimises mean((loss - target)^2). Here the "
        "paper's loss is minimised: the mean squared error of every predicted frame plus the "
        "filters' moment loss. Only training differs, so there is no faithful=True.",
    )

    def check(self) -> None:
        """Raises ValueError or TypeError, naming the field, where a setting is impossible."""
        super().check()
        if self.patch_size not in (2, 4):
            raise ValueError(f"patch_size = {self.patch_size} must be 2 or 4")
        self.frames_divisible(self.patch_size, "patch_size")
        for field in ("nf", "input_dim"):
            value = at_least(field, getattr(self, field), 1)
            divisible(field, value, GROUPS, "groups of the norms")
        if integers("hidden_dims", self.hidden_dims, 1)[-1] != self.input_dim:
            raise ValueError(
                f"hidden_dims = {self.hidden_dims} must end with input_dim = {self.input_dim}: "
                f"both branches are decoded alike"
            )
        at_least("kernel_size", self.kernel_size, 3)
        odd("kernel_size", self.kernel_size)

    def setup(self) -> None:
        """Makes the encoders, the two branches and the decoders."""
        self.check()
        stack = functools.partial(Stack, dtype=self.dtype)
        nf, width, last = self.nf, self.input_dim, self.patch_size // 2
        own = ((width, 1), (width, 1))
        self.encoder = stack(((nf, 2), (nf, 1), (width, last)))
        self.encoder_physics = stack(own)
        self.encoder_residual = stack(own)
        self.physics = PhyCell(width, self.kernel_size, self.dtype)
        self.residual = [ConvLSTMCell(features, self.dtype) for features in self.hidden_dims]
        self.decoder_physics = stack(own, transposed=True)
        self.decoder_residual = stack(own, transposed=True)
        self.decoder = stack(((nf, 2), (nf, 1)), transposed=True)
        self.readout = enlarging(self.in_shape[-1], 3, last, dtype=self.dtype)

    def start(self, frames: Array) -> PhyDNetState:
        """Both branches at rest."""
        batch, _, height, width, _ = frames.shape
        small = (batch, height // self.patch_size, width // self.patch_size)

        def rest(features: int) -> Array:
            return jnp.zeros((*small, features), self.dtype or frames.dtype)

        return PhyDNetState(
            rest(self.input_dim), tuple((rest(n), rest(n)) for n in self.hidden_dims)
        )

    def step(self, state: PhyDNetState, frame: Array, train: bool) -> tuple[PhyDNetState, Array]:
        """As the base says; behaves alike in training."""
        del train
        seen = self.encoder(frame)
        physics = self.physics(self.encoder_physics(seen), state.physics)
        x, residual = self.encoder_residual(seen), []
        for layer, (hidden, cell) in zip(self.residual, state.residual, strict=True):
            x, cell = layer(x, hidden, cell)
            residual.append((x, cell))
        latent = self.decoder_physics(physics) + self.decoder_residual(x)
        following = jax.nn.sigmoid(self.readout(self.decoder(latent)))
        return PhyDNetState(physics, tuple(residual)), following

    def sow_losses(self, before: PhyDNetState, after: PhyDNetState, steps: int) -> None:
        """The moment loss over the number of steps, as each step's error counts."""
        self.sow("losses", "moments", self.physics.moment_loss() / steps)
