"""The matrix product of linear layers and 1x1 convolutions, its gradient also fast on a CPU."""

import jax
from jax import Array, lax

from pdr_jax.backbones.layers.by_platform import by_platform


def matmul(x: Array, kernel: Array) -> Array:
    """`x` (..., C) times `kernel` (C, C') -> (..., C').

    XLA's CPU back end transposes the first factor of the kernel's gradient, x^T dy, in memory. Here
    that is the narrower of x and dy.
    """
    return by_platform(cpu=_cpu_matmul, default=_matmul)(x, kernel)


def _matmul(x: Array, kernel: Array) -> Array:
    return x @ kernel


_cpu_matmul = jax.custom_vjp(_matmul)


def _forward(x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return x @ kernel, (x, kernel)


def _backward(saved: tuple[Array, Array], cotangent: Array) -> tuple[Array, Array]:
    x, kernel = saved
    inputs, outputs = kernel.shape
    flat, given = x.reshape(-1, inputs), cotangent.reshape(-1, outputs)
    narrow, wide = (flat, given) if inputs <= outputs else (given, flat)
    # The barrier keeps XLA from swapping them again.
    gradient = lax.optimization_barrier(narrow.T @ wide)
    return cotangent @ kernel.T, gradient if inputs <= outputs else gradient.T


_cpu_matmul.defvjp(_forward, _backward)
