"""XLA's convolutions, and `loop_conv`: the same, its gradient also fast in loops on a CPU.

The CPU back end's fast convolutions want inputs (N, H, W, C) and kernels (H, W, C, C'). The
gradients that JAX writes have their axes in other orders. XLA transposes them, but not in the
body of a scan: there it takes the slow way, 18 times slower for 5x5 kernels from 64 to 256
channels (experiments/loop_bench.py, experiments/results/loops_cpu.json). So `loop_conv` writes the
transpositions out.
"""

from jax import Array, custom_vjp, lax

Pair = tuple[int, int]


def xla_conv(
    x: Array, kernel: Array, stride: Pair, padding: tuple[Pair, Pair], spread: Pair, dilation: Pair
) -> Array:
    """XLA's convolution (N, H, W, C), (K, K', C, C') -> (N, M, M', C'), with JAX's gradient.

    Args:
      x: input.
      kernel: of cross-correlation, as in every deep-learning library.
      stride: step between outputs, for rows and columns.
      padding: zeros before and after, likewise; they may be negative.
      spread: distance between neighbouring inputs, likewise: 1, but for transposed convolutions.
      dilation: distance between neighbouring taps of the kernel, likewise.
    """
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=stride,
        padding=padding,
        lhs_dilation=spread,
        rhs_dilation=dilation,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def grouped_conv(x: Array, kernel: Array, stride: int, groups: int, dilation: int) -> Array:
    """XLA's grouped convolution (N, H, W, C), (K, K', C / groups, C') -> (N, H', W', C').

    H' is H / stride. Zeros are outside the frame: dilation * (K // 2) of them on every side.
    """
    pad_y, pad_x = (dilation * (side // 2) for side in kernel.shape[:2])
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=((pad_y, pad_y), (pad_x, pad_x)),
        rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )


loop_conv = custom_vjp(xla_conv, nondiff_argnums=(2, 3, 4, 5))


def _forward(
    x: Array, kernel: Array, stride: Pair, padding: tuple[Pair, Pair], spread: Pair, dilation: Pair
) -> tuple[Array, tuple[Array, Array]]:
    return xla_conv(x, kernel, stride, padding, spread, dilation), (x, kernel)


def _backward(
    stride: Pair,
    padding: tuple[Pair, Pair],
    spread: Pair,
    dilation: Pair,
    saved: tuple[Array, Array],
    cotangent: Array,
) -> tuple[Array, Array]:
    x, kernel = saved
    of_input, of_kernel = [], []
    for axis, (before, _) in enumerate(padding):
        # Extents of the spread input, of the kernel beyond its first tap, and of the outputs.
        extent = spread[axis] * (x.shape[1 + axis] - 1) + 1
        reach = dilation[axis] * (kernel.shape[axis] - 1)
        outputs = stride[axis] * (cotangent.shape[1 + axis] - 1) + 1
        of_input.append((reach - before, extent - outputs + before))
        of_kernel.append((before, reach + outputs - extent - before))
    mirrored = kernel[::-1, ::-1].swapaxes(2, 3)
    for_input = loop_conv(cotangent, mirrored, spread, tuple(of_input), stride, dilation)
    for_kernel = loop_conv(
        x.transpose(3, 1, 2, 0),
        cotangent.transpose(1, 2, 0, 3),
        dilation,
        tuple(of_kernel),
        spread,
        stride,
    )
    return for_input, for_kernel.transpose(1, 2, 0, 3)


loop_conv.defvjp(_forward, _backward)
