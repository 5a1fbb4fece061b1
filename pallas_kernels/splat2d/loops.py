"""What kernels loop over, whichever compiler takes them: bits of a word, pixels of an axis.

A Gaussian is drawn where |pixel - mean| <= reach in float32. Pixels are skipped by that very
comparison, because a sum mean + reach can round to the other side of a pixel.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


def for_each_bit(bits: jax.Array, body: Callable[[jax.Array, Any], Any], carry: Any) -> Any:
    """Calls carry = body(index, carry) for every set bit of an int32, from the lowest."""

    def step(state):
        bits, carry = state
        lowest = bits & -bits
        return bits ^ lowest, body(31 - jax.lax.clz(lowest), carry)

    return jax.lax.while_loop(lambda state: state[0] != 0, step, (bits, carry))[1]


class Area(NamedTuple):
    """The pixels of a tile: its outermost columns and rows, float32."""

    left: jax.Array
    right: jax.Array
    top: jax.Array
    bottom: jax.Array

    def missed(self, mean_x, mean_y, reach_x, reach_y) -> jax.Array:
        """Which Gaussians reach none of the pixels. A NaN reaches all."""
        beside = (self.left - mean_x > reach_x) | (mean_x - self.right > reach_x)
        return beside | (self.top - mean_y > reach_y) | (mean_y - self.bottom > reach_y)

    def outside(self, least_x, most_x, least_y, most_y) -> jax.Array:
        """Which of the boxes of `gather.bounds` hold none of the pixels."""
        beside = (least_x > self.right) | (most_x < self.left)
        return beside | (least_y > self.bottom) | (most_y < self.top)


def within(mean: jax.Array, reach: jax.Array, size: int) -> tuple[jax.Array, jax.Array]:
    """The first and the last of the pixels 0..size - 1 that a Gaussian reaches, int32.

    A NaN reaches all. Where none is reached, the last comes before the first, by at most 3.
    """
    least, most = mean - reach, mean + reach
    least = jnp.where(least > 0, jnp.minimum(least, size), 0.0)
    most = jnp.where(most < size - 1, jnp.maximum(most, -1.0), size - 1.0)
    first, last = least.astype(jnp.int32), most.astype(jnp.int32)

    def reached(pixel):
        return jnp.abs(pixel.astype(jnp.float32) - mean) <= reach

    def missed(pixel):
        return jnp.abs(pixel.astype(jnp.float32) - mean) > reach

    # Rounded towards zero, and perhaps one off by the rounding of the sums.
    first += missed(first).astype(jnp.int32) - reached(first - 1).astype(jnp.int32)
    last += reached(last + 1).astype(jnp.int32) - missed(last).astype(jnp.int32)
    return jnp.maximum(first, 0), jnp.minimum(last, size - 1)
