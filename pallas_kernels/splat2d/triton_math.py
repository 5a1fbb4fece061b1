"""Arithmetic that the Triton route of Pallas does not emit by itself.

It never contracts a product and a sum into one instruction, and lowers exp2 with care for
denormals. Interpreted kernels use the plain forms.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental.pallas import triton as plt


def fma(a: Any, b: Any, c: Any, plain: bool) -> jax.Array:
    """a b + c in float32, rounded once."""
    if plain:
        return a * b + c
    return _assembly("fma.rn.f32 $0, $1, $2, $3;", a, b, c)


def exp2_minus(x: jax.Array, plain: bool) -> jax.Array:
    """2^-x in float32 to 2^-22 relative; below the least normal number it is 0."""
    if plain:
        return jnp.exp2(-x)
    return _assembly("ex2.approx.ftz.f32 $0, $1;", -x)


def for_each_bit(bits: jax.Array, body: Callable[[jax.Array, Any], Any], carry: Any) -> Any:
    """carry = body(index, carry) for every set bit of an int32, from the lowest."""

    def step(state):
        bits, carry = state
        lowest = bits & -bits
        return bits ^ lowest, body(31 - jax.lax.clz(lowest), carry)

    return jax.lax.while_loop(lambda state: state[0] != 0, step, (bits, carry))[1]


def _assembly(code, *args):
    args = jnp.broadcast_arrays(*(jnp.asarray(x, jnp.float32) for x in args))
    out = jax.ShapeDtypeStruct(args[0].shape, jnp.float32)
    constraints = ",".join(["=f", *["f"] * len(args)])
    return plt.elementwise_inline_asm(
        code, args=args, constraints=constraints, pack=1, result_shape_dtypes=[out]
    )[0]
