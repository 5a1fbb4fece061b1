"""Depthwise 2D convolution, in the form that each platform runs fast.

XLA's CPU back end has no kernel of its own for it. Written as loops that XLA fuses, the same sums
run 3 to 44 times faster, the gradient of the kernel 13 to 120 times, at the translators' sizes
(medians: experiments/depthwise_bench.py, experiments/results/depthwise_cpu.json). Elsewhere the
platform's convolution is used.
"""

import functools
import math

import jax
import jax.numpy as jnp
from jax import Array, lax

from pdr_jax.backbones.layers.by_platform import by_platform
from pdr_jax.backbones.layers.loop_conv import grouped_conv

# Columns summed in one step of the kernel gradient. From 16 terms on, XLA's CPU back end copies
# the step's inputs out instead of recomputing their addresses for every term.
STEP = 16

# Taps that one fused loop may have. With more, XLA's CPU back end does not vectorise the loop and
# takes seconds to compile it; it does vectorise parts of about 32 taps.
MOST_TAPS, PART_TAPS = 64, 32


def depthwise_conv(x: Array, kernel: Array, *, dilation: int = 1) -> Array:
    """Convolves every channel with its own kernel, stride 1, zeros outside, same size out.

    Args:
      x: (..., H, W, C).
      kernel: (K, K', 1, C), K and K' odd; cross-correlation, as in every deep-learning library.
      dilation: spacing of the kernel's taps, in pixels.

    Returns:
      (..., H, W, C) in the dtype of `x`.

    Raises:
      ValueError: on an even kernel or a kernel that does not fit the channels of `x`.
    """
    rows, columns, one, channels = kernel.shape
    if rows % 2 == 0 or columns % 2 == 0:
        raise ValueError(f"depthwise kernel is {rows}x{columns}; both sides must be odd")
    if one != 1 or channels != x.shape[-1]:
        raise ValueError(
            f"depthwise kernel has shape {kernel.shape}; for x of shape {x.shape} "
            f"expected (K, K', 1, {x.shape[-1]})"
        )
    convolve = by_platform(
        cpu=functools.partial(cpu_conv, dilation=dilation),
        default=functools.partial(xla_conv, dilation=dilation),
    )
    flat = x.reshape(-1, *x.shape[-3:])
    return convolve(flat, kernel.astype(x.dtype)).reshape(x.shape)


def xla_conv(x: Array, kernel: Array, dilation: int) -> Array:
    """XLA's grouped convolution: (N, H, W, C), (K, K', 1, C) -> (N, H, W, C)."""
    return grouped_conv(x, kernel, 1, kernel.shape[-1], dilation)


@functools.partial(jax.jit, static_argnums=2)  # traced once for all layers of a size
def shifted_sum(x: Array, kernel: Array, dilation: int) -> Array:
    """The convolution as K K' shifted multiply-adds, which XLA fuses into one loop."""
    rows, columns = kernel.shape[:2]
    if rows * columns > MOST_TAPS:
        return sum_in_parts(x, kernel, dilation)
    return _taps(_pad(x, rows, columns, dilation), kernel, dilation, x.shape).astype(x.dtype)


def sum_in_parts(x: Array, kernel: Array, dilation: int) -> Array:
    """`shifted_sum`, a few rows of the kernel at a time."""
    rows, columns = kernel.shape[:2]
    if columns > rows:
        swapped = sum_in_parts(x.swapaxes(1, 2), kernel.swapaxes(0, 1), dilation)
        return swapped.swapaxes(1, 2)
    part = max(1, PART_TAPS // columns)
    parts = math.ceil(rows / part)
    extra = parts * part - rows
    padded = _pad(x, rows, columns, dilation)
    padded = jnp.pad(padded, ((0, 0), (0, extra * dilation), (0, 0), (0, 0)))
    kernel = jnp.pad(kernel, ((0, extra), (0, 0), (0, 0), (0, 0)))
    reach = x.shape[1] + (part - 1) * dilation

    def step(i: Array, total: Array) -> Array:
        seen = lax.dynamic_slice_in_dim(padded, i * part * dilation, reach, axis=1)
        taps = lax.dynamic_slice_in_dim(kernel, i * part, part)
        return total + _taps(seen, taps, dilation, x.shape)

    return lax.fori_loop(0, parts, step, jnp.zeros(x.shape, _wide(x))).astype(x.dtype)


def _taps(padded: Array, kernel: Array, dilation: int, shape: tuple[int, ...]) -> Array:
    rows, columns, _, channels = kernel.shape
    _, height, width, _ = shape
    padded, kernel = padded.astype(_wide(padded)), kernel.astype(_wide(kernel))
    total = jnp.zeros(shape, padded.dtype)
    for row in range(rows):
        for column in range(columns):
            y, z = row * dilation, column * dilation
            window = padded[:, y : y + height, z : z + width]
            total += window * kernel[row, column].reshape(1, 1, 1, channels)
    return total


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def cpu_conv(x: Array, kernel: Array, dilation: int) -> Array:
    """`shifted_sum` with gradients as fast as itself."""
    return shifted_sum(x, kernel, dilation)


def _forward(x: Array, kernel: Array, dilation: int) -> tuple[Array, tuple[Array, Array]]:
    return shifted_sum(x, kernel, dilation), (x, kernel)


def _backward(
    dilation: int, residuals: tuple[Array, Array], cotangent: Array
) -> tuple[Array, Array]:
    x, kernel = residuals
    rows, columns = kernel.shape[:2]
    return (
        shifted_sum(cotangent, kernel[::-1, ::-1], dilation),
        kernel_gradient(x, cotangent, rows=rows, columns=columns, dilation=dilation),
    )


cpu_conv.defvjp(_forward, _backward)


@functools.partial(jax.jit, static_argnames=("rows", "columns", "dilation"))
def kernel_gradient(x: Array, cotangent: Array, *, rows: int, columns: int, dilation: int) -> Array:
    """Gradient with respect to the kernel: each tap's sum of x, shifted, times the cotangent.

    A loop over runs of pixels within a row; each step is one fused sum over the run, all taps and
    channels at once. (As K K' separate reductions it is 4 to 60 times slower.)

    Args:
      x: (N, H, W, C), the convolution's input.
      cotangent: (N, H, W, C), the gradient with respect to its output.
      rows: K, the height of the kernel.
      columns: K', its width.
      dilation: of the convolution.

    Returns:
      (K, K', 1, C).
    """
    count, height, width, channels = x.shape
    runs = max(1, width // STEP)
    run = max(STEP, math.ceil(width / runs))
    extra = ((0, 0), (0, 0), (0, runs * run - width), (0, 0))
    padded = jnp.pad(_pad(x, rows, columns, dilation), extra)
    cotangent = jnp.pad(cotangent, extra)
    reach_y, reach_x = dilation * (rows - 1) + 1, dilation * (columns - 1) + 1
    wide = _wide(x)

    def step(i: Array, total: Array) -> Array:
        start = (i // (height * runs), i // runs % height, i % runs * run, 0)
        given = lax.dynamic_slice(cotangent, start, (1, 1, run, channels))[0, 0]
        seen = lax.dynamic_slice(padded, start, (1, reach_y, run + reach_x - 1, channels))
        seen, given = seen[0, ::dilation].astype(wide), given.astype(wide)
        for z in range(run):
            total += seen[:, z : z + reach_x : dilation] * given[z].reshape(1, 1, channels)
        return total

    total = jnp.zeros((rows, columns, channels), wide)
    total = lax.fori_loop(0, count * height * runs, step, total)
    return total.reshape(rows, columns, 1, channels).astype(x.dtype)


def _wide(x: Array) -> jnp.dtype:
    """The dtype of sums: a bfloat16 total of many terms stops growing."""
    return jnp.promote_types(x.dtype, jnp.float32)


def _pad(x: Array, rows: int, columns: int, dilation: int) -> Array:
    pad_y, pad_x = dilation * (rows // 2), dilation * (columns // 2)
    return jnp.pad(x, ((0, 0), (pad_y, pad_y), (pad_x, pad_x), (0, 0)))
