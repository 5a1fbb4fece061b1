"""Arithmetic and addresses that Pallas does not emit by itself for Triton.

It never contracts a product and a sum into one instruction, and its exp2 spends instructions on
denormals. With `plain=True`, for the interpreter, these functions are ordinary arithmetic.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton as plt

ROW = 2**30
"""Elements of the longest row that `place` reaches into."""


def fma(a: Any, b: Any, c: Any, plain: bool) -> jax.Array:
    """Returns a b + c in float32, rounded once."""
    if plain:
        return a * b + c
    return _assembly("fma.rn.f32 $0, $1, $2, $3;", a, b, c)


def exp2_minus(x: jax.Array, plain: bool) -> jax.Array:
    """2^-x in float32 to 2^-22 relative; below the least normal number it is 0."""
    if plain:
        return jnp.exp2(-x)
    return _assembly("{ .reg .f32 y; neg.f32 y, $1; ex2.approx.ftz.f32 $0, y; }", x)


def ballot_false(flags: jax.Array) -> jax.Array:
    """Which of 32 booleans are false: the bits of an int32."""
    lane = jax.lax.iota(jnp.int32, 32)
    return jnp.where(flags, 0, 1 << lane).sum(dtype=jnp.int32)


def dot(a: jax.Array, b: jax.Array, dtype: jnp.dtype, plain: bool) -> jax.Array:
    """Product of two matrices, accumulated in float32, for a result of some dtype.

    For bfloat16 the factors are rounded to bfloat16 (2^-9 relative). Else each is split into
    two tf32 numbers and three products are added, which leaves an error of about 2^-21.
    """
    if dtype == jnp.bfloat16:
        a, b = a.astype(jnp.bfloat16), b.astype(jnp.bfloat16)
        return jnp.dot(a, b, preferred_element_type=jnp.float32)
    if plain:
        return jnp.dot(a, b, precision="highest")
    return jnp.dot(a, b, precision=jax.lax.DotAlgorithmPreset.TF32_TF32_F32_X3)


def as_row(x: jax.Array, programs: int) -> tuple[jax.Array, pl.BlockSpec]:
    """An array (F, ...) as one row; or as F rows, if a single one were longer than ROW.

    Args:
        x: the array.
        programs: of a frame; those of frame 0 come first.

    Returns:
        The rows and the block of them that a program has: a whole row.
    """
    rows = x.reshape(1 if x.size <= ROW else len(x), -1)
    frames = len(rows)
    return rows, pl.BlockSpec(
        (None, rows.shape[1]), lambda i: (i // programs if frames > 1 else 0, 0)
    )


def start(row: Any, size: int, programs: int) -> jax.Array | int:
    """Where this program's frame, of some size, starts in a row of `as_row`."""
    return 0 if row.shape[0] == size else pl.program_id(0) // programs * size


def place(row: Any, index: jax.Array) -> jax.Array:
    """An index into a row of `as_row`, to which constants may be added at no cost.

    They become part of the load, because the compiler sees that the sum does not overflow. In a
    frame longer than ROW they cost what they always do.
    """
    return index & (ROW - 1) if row.shape[0] <= ROW else index  # the mask changes nothing


def _assembly(code, *args):
    args = tuple(jnp.broadcast_arrays(*(jnp.asarray(x, jnp.float32) for x in args)))
    out = jax.ShapeDtypeStruct(args[0].shape, jnp.float32)
    constraints = ",".join(["=f", *["f"] * len(args)])
    return plt.elementwise_inline_asm(
        code, args=args, constraints=constraints, pack=1, result_shape_dtypes=[out]
    )[0]
