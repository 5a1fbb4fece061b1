"""What kernels loop over, whichever compiler takes them: bits of a word, pixels of an axis."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def for_each_bit(bits: jax.Array, body: Callable[[jax.Array, Any], Any], carry: Any) -> Any:
    """Calls carry = body(index, carry) for every set bit of an int32, from the lowest."""

    def step(state):
        bits, carry = state
        lowest = bits & -bits
        return bits ^ lowest, body(31 - jax.lax.clz(lowest), carry)

    return jax.lax.while_loop(lambda state: state[0] != 0, step, (bits, carry))[1]


def within(mean: jax.Array, reach: jax.Array, size: int) -> tuple[jax.Array, jax.Array]:
    """First and last pixel of an axis of `size` that a Gaussian reaches, as int32; NaN: all."""
    least, most = mean - reach, mean + reach
    least = jnp.where(least > 0, jnp.minimum(least, size), 0.0)
    most = jnp.where(most < size - 1, jnp.maximum(most, -1.0), size - 1.0)
    first, last = least.astype(jnp.int32), most.astype(jnp.int32)  # towards zero
    first += (first.astype(jnp.float32) < least).astype(jnp.int32)
    last -= (last.astype(jnp.float32) > most).astype(jnp.int32)
    return first, last
