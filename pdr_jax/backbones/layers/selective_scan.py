"""Mamba's selective scan, and the layer that runs it over a grid in four directions.

Mamba: Linear-Time Sequence Modeling with Selective State Spaces (2023); VMamba: Visual State Space
Model (NeurIPS 2024).
"""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from einops import rearrange
from flax import linen as nn
from jax import Array, lax
from jax.typing import DTypeLike

from pdr_jax.backbones.layers.by_platform import by_platform
from pdr_jax.backbones.layers.conv import Conv
from pdr_jax.backbones.layers.dropout import Dropout
from pdr_jax.backbones.layers.initializers import uniform
from pdr_jax.backbones.layers.linear import Linear
from pdr_jax.backbones.layers.norm import layer_norm

Sequences = tuple[Array, Array, Array, Array]

# Positions between two states that are kept for the gradient: about the square root of a usual
# sequence's length, where what is kept and what is computed anew balance.
CHUNK = 16
# The same for `parallel`, where steps are expensive and parallel work is cheap.
PARALLEL_CHUNK = 64

DIRECTIONS = 4
STEP_RANGE = (1e-3, 0.1)  # of the first values of softplus(step_bias), log-uniform


def selective_scan(u: Array, delta: Array, A: Array, B: Array, C: Array) -> Array:
    """A linear state space model in every channel, whose input sets its own step, B and C.

    From state h = 0, at every position in turn:
      h = exp(delta A) h + delta u B, the input held for `delta`, and y = sum over n of C h.

    Args:
      u: (L, ..., D), the input at each of L positions.
      delta: (L, ..., D), lengths of the steps, positive.
      A: (..., N, D) without the batch's axis, negative: rates at which N states per channel decay.
      B: (L, ..., N), what the states take from the input.
      C: (L, ..., N), what the output takes from the states.

    Returns:
      y (L, ..., D).
    """
    return by_platform(cpu=stepwise, default=parallel)(u, delta, A, B, C)


def definition(u: Array, delta: Array, A: Array, B: Array, C: Array) -> Array:
    """`selective_scan` by its definition, which the fast forms are tested against."""
    return lax.scan(functools.partial(advance, A), rest(u, A), (u, delta, B, C))[1]


def stepwise(u: Array, delta: Array, A: Array, B: Array, C: Array) -> Array:
    """The same scan; its gradient keeps one state in `CHUNK` and no intermediate results.

    On a CPU, at L = 256 and 1024, D = 256 and N = 16, the gradient of the definition, which writes
    all intermediate results to memory, takes three times as long, that of `parallel` five to six
    times (medians: experiments/loop_bench.py, experiments/results/loops_cpu.json).
    """
    step = jax.checkpoint(functools.partial(advance, A), prevent_cse=False)
    return in_chunks(functools.partial(lax.scan, step), CHUNK, A, (u, delta, B, C))


def parallel(u: Array, delta: Array, A: Array, B: Array, C: Array) -> Array:
    """The same scan as an associative one, whose steps are few and large.

    For accelerators, where `stepwise` would wait for L small steps. It was timed on CPUs only.
    """

    def compose(first: tuple[Array, Array], second: tuple[Array, Array]) -> tuple[Array, Array]:
        """Of two maps h -> decay h + gain, the one that does both."""
        return second[0] * first[0], second[0] * first[1] + second[1]

    def chunk(state: Array, inputs: Sequences) -> tuple[Array, Array]:
        u, delta, B, C = inputs
        decays, gains = lax.associative_scan(compose, transition(A, u, delta, B))
        states = decays * state[None] + gains
        return states[-1], read(states, C)

    return in_chunks(chunk, PARALLEL_CHUNK, A, (u, delta, B, C))


def in_chunks(
    scan: Callable[[Array, Sequences], tuple[Array, Array]],
    size: int,
    A: Array,
    inputs: Sequences,
) -> Array:
    """Scans `size` positions at a time; the gradient computes each chunk anew from its state.

    Args:
      scan: state and inputs of a chunk -> the state at its end, and its outputs.
      size: positions in a chunk.
      A: of the model.
      inputs: u, delta, B, C.
    """
    length = len(inputs[0])
    size = min(size, length)
    count = math.ceil(length / size)

    def split(x: Array) -> Array:  # a step of length 0 leaves the state as it is
        padded = jnp.pad(x, ((0, count * size - length),) + ((0, 0),) * (x.ndim - 1))
        return padded.reshape(count, size, *x.shape[1:])

    body = jax.checkpoint(scan, prevent_cse=False)
    _, y = lax.scan(body, rest(inputs[0], A), jax.tree.map(split, inputs))
    return y.reshape(count * size, *y.shape[2:])[:length]


def advance(A: Array, state: Array, inputs: Sequences) -> tuple[Array, Array]:
    """One position: the next state (..., N, D), and the output."""
    u, delta, B, C = inputs
    decay, gain = transition(A, u, delta, B)
    state = decay * state + gain
    return state, read(state, C)


def transition(A: Array, u: Array, delta: Array, B: Array) -> tuple[Array, Array]:
    """Factor and summand (..., N, D) by which the state moves on."""
    A = A.reshape((1,) * (delta.ndim + 1 - A.ndim) + A.shape)
    return jnp.exp(delta[..., None, :] * A), (delta * u)[..., None, :] * B[..., None]


def read(state: Array, C: Array) -> Array:
    """The output (..., D) from states (..., N, D)."""
    return (state * C[..., None]).sum(-2)


def rest(u: Array, A: Array) -> Array:
    """The state before the first position, 0."""
    return jnp.zeros((*u.shape[1:-1], *A.shape[-2:]), u.dtype)


def unroll_grid(x: Array) -> Array:
    """(B, H, W, 4, C) -> (H W, B, 4, C): each direction's features in the order of its scan.

    The directions are row by row, column by column, and the two backwards.
    """
    rows = rearrange(x, "b h w k c -> (h w) b k c")
    columns = rearrange(x, "b h w k c -> (w h) b k c")
    return jnp.stack(
        [rows[:, :, 0], columns[:, :, 1], rows[::-1, :, 2], columns[::-1, :, 3]], axis=2
    )


def roll_up_grid(x: Array, height: int) -> Array:
    """The sum over directions, (H W, B, 4, C) -> (B, H, W, C), every position in its place."""
    rows = x[:, :, 0] + x[::-1, :, 2]
    columns = x[:, :, 1] + x[::-1, :, 3]
    rows = rearrange(rows, "(h w) b c -> b h w c", h=height)
    return rows + rearrange(columns, "(w h) b c -> b h w c", h=height)


class SelectiveScan2D(nn.Module):
    """A gated selective scan over a grid, along its rows and its columns, forwards and backwards.

    The scans run in float32 (or wider) whatever the compute dtype.

    Attributes:
      states: N, states per channel and direction.
      expand: D over the input's width.
      drop: dropout of the result.
      dtype: compute dtype.
    """

    states: int = 16
    expand: int = 2
    drop: float = 0.0
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Maps `x` (B, H, W, C) to the same shape."""
        width = x.shape[-1]
        inner = self.expand * width
        linear = functools.partial(Linear, use_bias=False, dtype=self.dtype)
        x, gate = jnp.split(linear(2 * inner, name="enter")(x), 2, axis=-1)
        x = Conv(inner, 3, groups=inner, dtype=self.dtype, name="near")(x)
        x = jax.nn.silu(x)
        y = self._scan(x, rank=math.ceil(width / 16)).astype(x.dtype)
        norm = layer_norm(dtype=x.dtype, name="norm")
        y = linear(width, name="leave")(norm(y) * jax.nn.silu(gate))
        return Dropout(self.drop, deterministic=not train)(y)

    def _scan(self, x: Array, rank: int) -> Array:
        """The sum of the four scans of `x` (B, H, W, D), each with parameters of its own."""
        inner, n = x.shape[-1], self.states

        def each(name: str, init: Callable[..., Array], *shape: int) -> Array:
            return self.param(name, init, (DIRECTIONS, *shape))

        # What sets the scans: the step, of low rank, then B and C.
        select = each("select", uniform(inner**-0.5), inner, rank + 2 * n)
        step_kernel = each("step_kernel", uniform(rank**-0.5), rank, inner)
        step_bias = each("step_bias", initial_step, inner)
        log_rates = each("log_rates", initial_rates, n, inner)
        skip = each("skip", nn.initializers.ones, inner)

        set_by = jnp.einsum("bhwd,kdr->bhwkr", x, select.astype(x.dtype))
        step, B, C = jnp.split(set_by, (rank, rank + n), axis=-1)
        step = jnp.einsum("bhwkr,krd->bhwkd", step, step_kernel.astype(x.dtype))

        x, step, B, C = (a.astype(jnp.promote_types(a.dtype, jnp.float32)) for a in (x, step, B, C))
        delta = jax.nn.softplus(step + step_bias.reshape(1, 1, 1, *step_bias.shape))
        everywhere = jnp.broadcast_to(x[..., None, :], delta.shape)
        u, delta, B, C = (unroll_grid(a) for a in (everywhere, delta, B, C))
        y = selective_scan(u, delta, -jnp.exp(log_rates), B, C)
        return roll_up_grid(y, x.shape[1]) + x * skip.sum(0).reshape(1, 1, 1, -1)


def initial_step(key, shape, dtype=float, out_sharding=None):
    """Biases whose softplus is log-uniform in `STEP_RANGE`."""
    del out_sharding
    step = jnp.exp(jax.random.uniform(key, shape, dtype, *np.log(STEP_RANGE)))
    return jnp.log(jnp.expm1(step))


def initial_rates(key, shape, dtype=float, out_sharding=None):
    """Logarithms of the rates 1 to N, alike in every channel."""
    del key, out_sharding
    rates = jnp.log(jnp.arange(1, shape[-2] + 1, dtype=dtype))
    return jnp.broadcast_to(rates.reshape(1, -1, 1), shape)
