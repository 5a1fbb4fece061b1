"""Initial values of convolutions and linear layers, as the published PyTorch models draw them.

Each takes a layer's fan-in and fan-out (a convolution's are kernel area times channels per group,
in and out) and returns the initialisers of its kernel and its bias.
"""

import math
from collections.abc import Callable

import jax
from jax.nn.initializers import Initializer, normal, zeros

LayerInit = Callable[[int, int], tuple[Initializer, Initializer]]


def uniform(bound: float) -> Initializer:
    """Uniform on [-bound, bound)."""

    def init(key, shape, dtype=float, out_sharding=None):
        del out_sharding
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return init


def pytorch_default(fan_in: int, fan_out: int) -> tuple[Initializer, Initializer]:
    """PyTorch's own: kernel and bias uniform within 1/sqrt(fan_in) (Kaiming, a = sqrt 5)."""
    del fan_out
    bound = 1 / math.sqrt(fan_in)
    return uniform(bound), uniform(bound)


def he_fan_out(fan_in: int, fan_out: int) -> tuple[Initializer, Initializer]:
    """The MetaFormer blocks': kernel N(0, 2 / fan_out), bias 0."""
    del fan_in
    return normal(math.sqrt(2 / fan_out)), zeros


def normal_002(fan_in: int, fan_out: int) -> tuple[Initializer, Initializer]:
    """SimVP's encoder and decoder: kernel N(0, 0.02^2), bias 0.

    The original truncates at +-2 in absolute value, a hundred standard deviations: no truncation.
    """
    del fan_in, fan_out
    return normal(0.02), zeros


def trunc_normal_002(fan_in: int, fan_out: int) -> tuple[Initializer, Initializer]:
    """The transformers' linear layers: kernel N(0, 0.02^2), bias 0; truncated as `normal_002`."""
    return normal_002(fan_in, fan_out)


def lecun_normal(fan_in: int, fan_out: int) -> tuple[Initializer, Initializer]:
    """LeCun's, not truncated: kernel N(0, 1 / fan_in), bias 0."""
    del fan_out
    return normal(math.sqrt(1 / fan_in)), zeros


def he_fan_out_leaky(fan_in: int, fan_out: int) -> tuple[Initializer, Initializer]:
    """He's before a leaky ReLU of slope 0.1: kernel N(0, 2 / (1.01 fan_out)), bias 0."""
    del fan_in
    return normal(math.sqrt(2 / (1.01 * fan_out))), zeros
